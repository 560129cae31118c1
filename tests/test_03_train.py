"""Step 3: a network with hidden layers, a loop that learns, true figures, and a loss curve."""
from copy import deepcopy
from inspect import signature
from types import SimpleNamespace

import pytest
import torch
from course import TEST_IMAGES, TEST_LABELS, accuracy, check_drawn, check_equal, check_non_linear
from course import check_plain_logits, common, load, networks_with_validation_digits, optional
from course import split
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

PARAMETERS = signature(getattr(common, "train_one_epoch", print)).parameters
NOTHING = "train_one_epoch returns nothing: put a return after the loop"
IMAGES = 6 * torch.eye(784)[:10]  # ten digits that are their own logits
IMAGES[7:] = IMAGES[0] + IMAGES[7:] / 2  # three look more like a 0 than like themselves
LABELS = torch.arange(10)
TEN = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=4)  # batches of 4, 4 and 2
IDENTITY = nn.Linear(784, 784, bias=False)  # its logits are the images
IDENTITY.weight.data = torch.eye(784)
DIGITS = TEST_IMAGES[:960:15], TEST_LABELS[:960:15]  # 64, of all classes


def train(network, digits=DIGITS, batch_size=32, rate=0.1, **options):
    """Train with the loop that is tested, and return the loss that it says"""
    loader = DataLoader(TensorDataset(*digits), batch_size)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    return common.train_one_epoch(network, loader, optimizer, **options)


# ---- the network ---------------------------------------------------------------------------------
def test_the_first_network_gives_ten_plain_logits_for_each_digit():
    check_plain_logits("first_network", common.first_network(), TEST_IMAGES)


def test_the_first_network_has_two_hidden_layers():
    count = sum(weights.ndim >= 2 for weights in common.first_network().parameters())
    assert count >= 3, (
        f"{count} layers with weights: two hidden layers and the output make at least 3")


def test_the_first_network_is_as_wide_as_is_asked_for():
    optional(signature(common.first_network).parameters, "width")
    network = common.first_network(width=64)
    network(TEST_IMAGES)
    widths = {len(weights) for weights in network.parameters()}
    assert 64 in widths, "first_network(width=64) has no layer of 64 numbers: use width"


def test_there_is_a_non_linearity_after_each_hidden_layer():
    check_non_linear(common.first_network(), TEST_IMAGES)


# ---- the loop ------------------------------------------------------------------------------------
def test_an_epoch_changes_every_weight():
    network = common.first_network()
    before = deepcopy(network)
    train(network)
    for (name, weights), old in zip(network.named_parameters(), before.parameters()):
        assert not torch.equal(weights, old), (
            f"{name} did not change: are backward() and step() called, no zero_grad() between, and "
            "is every layer used?")


def test_gradients_do_not_pile_up_from_batch_to_batch():
    together = nn.Linear(784, 10)
    apart = deepcopy(together)
    train(together)
    train(apart, [part[:32] for part in DIGITS])
    apart.zero_grad()
    train(apart, [part[32:] for part in DIGITS])
    assert torch.allclose(together.weight, apart.weight, atol=1e-5), (
        "two batches in one epoch give other weights than the same two one after the other: the "
        "gradients of the first are still there in the second. Call optimizer.zero_grad() and "
        "optimizer.step() for every batch.")


def test_an_epoch_shows_each_batch_in_training_mode():
    norm = nn.BatchNorm1d(784)  # counts the batches that it sees in training mode
    train(nn.Sequential(norm, nn.Linear(784, 10)).eval(), batch_size=8)
    assert norm.num_batches_tracked == 8, (
        f"train_one_epoch shows {norm.num_batches_tracked} of 8 batches in training mode: call "
        "network.train() before the loop, since evaluation has switched dropout off, and do not "
        "return before the last")


def test_an_epoch_moves_the_schedule_once_for_each_batch():
    optional(PARAMETERS, "schedule")
    steps = []
    schedule = SimpleNamespace(step=lambda: steps.append(1))
    train(nn.Linear(784, 10), batch_size=8, schedule=schedule)
    assert len(steps) == 8, (
        f"for 8 batches train_one_epoch called schedule.step() {len(steps)} times: call it after "
        "each batch, if there is a schedule")


@pytest.mark.parametrize("name, value", [("smoothing", 0.5), ("augment", torch.zeros_like)])
def test_an_epoch_uses_smoothing_and_augment(name, value):
    optional(PARAMETERS, name)
    network = nn.Linear(784, 10)
    usual = train(network, rate=0.0)  # which changes nothing
    assert usual is not None, NOTHING
    assert usual != train(network, rate=0.0, **{name: value}), (
        f"train_one_epoch does not use {name}")


def test_an_epoch_returns_the_mean_loss_as_a_number():
    images, labels = DIGITS
    network = nn.Linear(784, 10)
    loss = train(network, batch_size=2, rate=0.0)
    expected = cross_entropy(network(images), labels).item()
    assert loss is not None, NOTHING
    assert not torch.is_tensor(loss), (
        "the loss returned is a tensor, maybe with its record for backward(): loss.item() is the "
        "number")
    assert float(loss) == pytest.approx(expected, abs=1e-3), (
        f"train_one_epoch returns {loss:.3f}, the mean loss is {expected:.3f}: add up the losses "
        "of all batches, and divide by their number. Is cross_entropy given the plain logits, and "
        "each digit's own label?")


def test_the_digits_are_taken_to_the_device_of_the_network(monkeypatch):
    optional(vars(common), "DEVICE")
    monkeypatch.setattr(common, "DEVICE", torch.device("meta"))  # tensors without any numbers
    network = nn.Linear(784, 10, device="meta")
    optimizer = torch.optim.SGD(network.parameters())
    for function, more in [(common.train_one_epoch, [optimizer]), (common.evaluate, [])]:
        try:
            function(network, TEN, *more)
        except Exception as error:  # one at the end is right, where a number is asked for
            assert "expected device" not in str(error), (
                f"{function.__name__} computes with tensors of two devices, which stops where "
                "there is a GPU: images and labels go .to(DEVICE), and predict takes logits .cpu()")


# ---- reading without learning --------------------------------------------------------------------
def test_predict_gives_the_logits_and_labels_of_all_digits():
    logits, labels = optional(vars(common), "predict")(IDENTITY, TEN)
    assert torch.is_tensor(logits) and torch.equal(logits, IMAGES), (
        "predict must return what the network makes of all batches, one after the other, as one "
        "tensor: no list, no guesses, no probabilities")
    assert torch.equal(labels, LABELS), "predict must return the labels of all batches, too"


def test_evaluation_switches_dropout_batch_norm_and_gradients_off():
    recorded = []
    network = nn.Sequential(nn.BatchNorm1d(784), nn.Dropout(0.5))
    network.register_forward_hook(lambda *_: recorded.append(torch.is_grad_enabled()))
    common.evaluate(network, TEN)
    assert network[0].num_batches_tracked == 0, (
        "predict or evaluate must call network.eval() before it reads: dropout blurs the answers, "
        "batch norm computes with the batch")
    assert not any(recorded), "evaluation tracks gradients: put it under torch.no_grad()"


def test_evaluate_gives_the_mean_loss_and_the_share_of_right_answers():
    loss, share = common.evaluate(IDENTITY, TEN)
    assert not torch.is_tensor(loss) and not torch.is_tensor(share), (
        "evaluate returns a tensor: .item() is its number")
    expected = cross_entropy(IMAGES, LABELS).item()
    assert share == pytest.approx(0.7, abs=1e-6), (
        f"7 of 10 digits are right, but evaluate says {share:.4f}, as a share. Divide the number "
        "of right digits by the number of digits (no percent); the last batch is smaller (0.58: "
        "mean over batches) and counts too (0.88: it was dropped; 0.1: argmax without dim=1; "
        f"{expected:.4f}: loss and accuracy exchanged).")
    assert loss == pytest.approx(expected, abs=1e-3), (
        f"the mean loss of ten digits is {expected:.4f}, but evaluate says {loss:.4f}: weigh the "
        "smaller last batch by its size, and leave out no batch (if it is nll_loss: here "
        "cross_entropy, which has log_softmax in it)")


# ---- the script ----------------------------------------------------------------------------------
@pytest.fixture
def first(step3):
    """The network that step 3 has saved, and what its file says"""
    return load(step3, "first_network.pt")


def test_the_script_trains_a_network_that_reads_digits(first):
    network, _ = first
    share = accuracy(network)
    assert share > 0.85, (
        f"the network in outputs/first_network.pt reads {share:.1%} of the sample's test digits; "
        "about 93 % are normal. Is the optimizer built on this network's parameters, the learning "
        "rate sensible, the trained network saved?")


def test_the_script_trains_the_same_network_whatever_the_test_digits(first, other_step3):
    network, _ = first
    check_equal(network, other_step3, "first_network.pt")


def test_the_validation_accuracy_is_true(first):
    network, facts = first
    images, labels, _ = split("validation")
    said = float(facts["validation_accuracy"])
    true = accuracy(network, images, labels)
    assert said == pytest.approx(true, abs=0.002), (
        f"step 3 says that {said:.2%} of the validation digits are read right, but it is "
        f"{true:.2%}. Does step 3 evaluate with the validation loader, and is the split seeded, so "
        "that every script has the same one?")


def test_no_network_learns_from_validation_digits(step3):
    assert not networks_with_validation_digits(step3), (
        "a network learned from validation digits, or from all digits of the training set: then "
        "its validation accuracy does not say how it reads digits that it has never met")


def test_both_loss_curves_are_drawn(step3, first):
    check_drawn(step3, "03_loss_curves.png", 1)
    curves = step3.figures["03_loss_curves"].curves  # one that is drawn twice is there once
    falling = [curve for curve in curves if curve[0] > curve[-1]]
    assert len(falling) >= 2, (
        f"{len(falling)} different curves fall from the first epoch to the last; training and "
        "validation loss are two: was one of them drawn twice?")
    network, _ = first
    images, labels, _ = split("validation")
    loss = cross_entropy(network(images), labels)
    fitting = []  # the names of the curves with such a point
    for curve, name in curves.items():
        if (torch.tensor(curve) - loss).abs().min() < 1e-3:
            fitting.append(name.lower())
    assert fitting, (
        f"the network that was saved has a validation loss of {loss:.4f}, but no curve has such a "
        "point: is the validation loss computed with the validation loader, after each epoch?")
    assert not all("train" in name for name in fitting), (
        f"{fitting} is the name of the curve that has the validation loss: are they exchanged?")
