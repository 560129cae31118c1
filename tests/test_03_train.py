"""Step 3: a network with hidden layers, a training loop that learns, and a loss curve."""
from copy import deepcopy
from itertools import pairwise

import common
import pytest
import torch
from conftest import accuracy, check_drawn, check_that_test_digits_come_last, load, run_step
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


@pytest.fixture
def digits(sample_test):
    return [part[:960:15] for part in sample_test]  # 64, of all classes


def train(network, digits, epochs=1, batch_size=32, rate=0.1, kind=torch.optim.SGD):
    """Train with the loop that is tested, and return the losses that it says"""
    loader = DataLoader(TensorDataset(*digits), batch_size)
    optimizer = kind(network.parameters(), lr=rate)
    return [common.train_one_epoch(network, loader, optimizer) for _ in range(epochs)]


# ---- the network ---------------------------------------------------------------------------------
def test_the_first_network_gives_ten_outputs_for_each_digit(digits):
    images, _ = digits
    network = common.first_network().eval()
    output = network(images)
    assert output.shape == (64, 10), (
        f"64 digits give {tuple(output.shape)}, not (64, 10): one output for each class")
    assert torch.equal(output, network(images)), (
        "the same digits get other outputs: use nn.Dropout, which eval() switches off")


def test_the_outputs_are_plain_logits(digits):
    images, _ = digits
    network = common.first_network()
    biases = [weights for weights in network.parameters() if weights.shape == (10,)]
    outputs = []
    for _ in range(2):
        torch.manual_seed(0)  # so that dropout, if there is some, does the same twice
        outputs.append(network(images))
        for bias in biases:
            bias.data += 100
    before, after = outputs
    assert torch.allclose(after - before, torch.tensor(100.0 * len(biases)), atol=0.01), (
        "the outputs are not plain logits: put no softmax, ReLU or dropout after the last layer; "
        "cross_entropy has the softmax in it already. (With all ten biases of that layer larger by "
        "100, all outputs must be larger by 100.)")


def test_the_first_network_has_two_hidden_layers():
    count = sum(weights.ndim >= 2 for weights in common.first_network().parameters())
    assert count >= 3, (
        f"{count} layers with weights: two hidden layers and the output make at least 3")


def test_the_first_network_has_a_non_linearity_after_each_hidden_layer(digits):
    images, _ = digits
    network = common.first_network().eval()
    a, b = images[:32], images[32:]
    curved = network(a + b) - network(a) - network(b) + network(0 * a)  # 0 of a linear function
    assert curved.abs().max() > 1e-3, (
        "the network is a linear function, as if it had no hidden layer: put a ReLU between the "
        "layers")
    if isinstance(network, nn.Sequential):  # which says the order of its layers
        kinds = [type(layer) for layer in network.modules()]
        assert (nn.Linear, nn.Linear) not in pairwise(kinds), (
            "a Linear layer gets the output of another as it is: is a ReLU missing?")


# ---- the loop ------------------------------------------------------------------------------------
def test_training_changes_every_weight(digits):
    network = common.first_network()
    before = deepcopy(network)
    train(network, digits, rate=0.01, kind=torch.optim.Adam)
    for (name, weights), old in zip(network.named_parameters(), before.parameters()):
        assert not torch.equal(weights, old), (
            f"{name} did not change: are backward() and step() called, no zero_grad() between, and "
            "is every layer used?")


def test_gradients_do_not_pile_up_from_batch_to_batch(digits):
    together = nn.Linear(784, 10)
    apart = deepcopy(together)
    train(together, digits)
    train(apart, [part[:32] for part in digits])
    apart.zero_grad()
    train(apart, [part[32:] for part in digits])
    assert torch.allclose(together.weight, apart.weight, atol=1e-5), (
        "two batches in one epoch give other weights than the same two one after the other: the "
        "gradients of the first are still there in the second. Call optimizer.zero_grad() and "
        "optimizer.step() for every batch.")


def test_an_epoch_learns_from_all_batches_in_training_mode(digits):
    norm = nn.BatchNorm1d(784)  # counts the batches that it sees in training mode
    network = nn.Sequential(norm, nn.Linear(784, 10))
    train(network.eval(), digits, batch_size=8)
    assert norm.num_batches_tracked == 8, (
        f"{norm.num_batches_tracked} batches of 8 were seen in training mode: call network.train() "
        "before the loop and after any eval() in it, since evaluation has switched dropout off, "
        "show each batch once, and do not leave the loop before the last")


def test_an_epoch_returns_the_mean_loss_as_a_number(digits):
    images, labels = digits
    network = nn.Linear(784, 10)
    loss, = train(network, digits, batch_size=2, rate=0.0)  # which changes nothing
    assert not getattr(loss, "requires_grad", False), (
        "the loss returned keeps every batch's graph: use loss.item()")
    expected = cross_entropy(network(images), labels).item()
    assert float(loss) == pytest.approx(expected, abs=1e-3), (
        f"train_one_epoch returns {loss:.3f}, the mean loss is {expected:.3f}")


def test_the_network_can_learn_64_digits_by_heart(digits):
    torch.manual_seed(0)
    network = common.first_network()
    losses = train(network, digits, epochs=120, rate=0.003, kind=torch.optim.Adam)
    share = accuracy(network, *digits)
    assert share > 0.98 and losses[-1] < losses[0] / 2, (
        f"after 120 epochs on 64 digits {share:.0%} are learned by heart, and the loss went from "
        f"{losses[0]:.2f} to {losses[-1]:.2f}: the loop does not learn")


# ---- the script ----------------------------------------------------------------------------------
@pytest.fixture
def first(course, step3):
    """The network that step 3 has saved, and what its file says"""
    return load(course, "first_network.pt")


def test_the_script_trains_a_network_that_reads_digits(first, sample_test):
    network, _ = first
    share = accuracy(network, *sample_test)
    assert share > 0.85, (
        f"the network in outputs/first_network.pt reads {share:.1%} of the sample's test digits; "
        "about 93 % are normal. Is the optimizer built on this network's parameters, the learning "
        "rate sensible, the trained network saved?")


def test_the_test_digits_have_no_part_in_the_training(step3, sample_test):
    check_that_test_digits_come_last(step3, sample_test)


def test_the_script_trains_the_same_network_in_each_run(course, first, sample_test):
    images, _ = sample_test
    network, _ = first
    run_step(course, "03_train.py")
    other, _ = load(course, "first_network.pt")
    assert torch.equal(network(images), other(images)), (
        "two runs of step 3 end with different networks, so that no figure can be checked: call "
        "torch.manual_seed before anything that is random")


def test_the_validation_accuracy_is_true(first, validation_digits, sample_test):
    network, facts = first
    said = float(facts["validation_accuracy"])
    true = accuracy(network, *validation_digits)
    assert said == pytest.approx(true, abs=0.002), (
        f"step 3 says that {said:.2%} of the validation digits are read right, but it is "
        f"{true:.2%}. Does step 3 evaluate with the validation loader, and is the split seeded, so "
        "that every script has the same one?")
    share = accuracy(network, *sample_test)
    assert said < share + 0.05, (
        f"{said:.1%} of the validation digits are read right, but {share:.1%} of the test digits: "
        "are the former learned from?")


def test_both_loss_curves_are_drawn(course, step3):
    check_drawn(course, step3, "03_loss_curves.png", 1)
    curves = step3.figures["03_loss_curves"].curves  # one that is drawn twice is there once
    falling = [curve for curve in curves if len(curve) > 1 and curve[0] > curve[-1]]
    assert len(falling) >= 2, (
        f"{len(falling)} different curves fall from the first epoch to the last; training and "
        "validation loss are two: was one of them drawn twice?")
