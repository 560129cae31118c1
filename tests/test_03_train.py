"""Step 3: a network with hidden layers, a training loop that learns, and a loss curve."""
import common
import pytest
import torch
from conftest import accuracy, check_figures, copy_course, falsify_test_labels, finish, load, start
from torch import nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.utils.data import DataLoader, TensorDataset


@pytest.fixture
def digits(sample_test):
    return [part[:960:15] for part in sample_test]  # 64, of all classes


def train(network, digits, optimizer, epochs=1, batch_size=32):
    loader = DataLoader(TensorDataset(*digits), batch_size=batch_size)
    return [common.train_one_epoch(network, loader, optimizer) for _ in range(epochs)]


def is_distribution(numbers, dim):
    return torch.allclose(numbers.sum(dim), torch.ones(1), atol=1e-3)


def test_the_first_network_returns_ten_logits(digits):
    images, _ = digits
    network = common.first_network().eval()
    output = network(images)
    assert output.shape == (64, 10), (
        f"64 digits give {tuple(output.shape)}, not (64, 10): one output for each class")
    for numbers in (output, output.exp()):
        assert not is_distribution(numbers, dim=0) and not is_distribution(numbers, dim=1), (
            "the network ends with a softmax. Return plain logits: cross_entropy has the softmax "
            "in it already.")
    assert torch.equal(output, network(images)), (
        "the same digits get other logits: use nn.Dropout, which eval() switches off")
    assert output.min() < 0, "no logit is negative: does a ReLU stand after the last layer?"


def layers_with_weights(network):
    """Without LayerNorm and depthwise ones, which go with the layer beside them"""
    layers = []
    for layer in network.modules():
        matrices = [weight for weight in layer.parameters(recurse=False) if weight.ndim >= 2]
        beside = isinstance(layer, nn.LayerNorm) or getattr(layer, "groups", 1) > 1
        if matrices and not beside:
            layers.append(layer)
    return layers


def test_the_first_network_has_two_hidden_layers():
    count = len(layers_with_weights(common.first_network()))
    assert count >= 3, (
        f"{count} layers with weights: two hidden layers and the output make at least 3")


def test_the_first_network_has_a_non_linearity_after_each_hidden_layer(digits):
    images, _ = digits
    network = common.first_network().eval()
    seen = []  # what goes into each layer, and what comes out of it

    def remember(layer, inputs, output):
        seen.append((inputs[0].flatten(1).clone(), output.flatten(1).clone()))

    layers = layers_with_weights(network)
    for layer in layers:
        layer.register_forward_hook(remember)
    a, b = images[:32], images[32:]
    curved = network(a + b) - network(a) - network(b) + network(0 * a)  # 0 of a linear function
    assert curved.abs().max() > 1e-3, (
        "the network is a linear function, as if it had no hidden layer: put a ReLU between the "
        "layers")

    logits = network.train()(images).flatten(1)
    _, last = seen[-1]
    assert last.shape != logits.shape or torch.equal(last, logits), (
        "the last layer's output is changed before it is returned: put no ReLU, tanh, softmax or "
        "dropout after it")

    network.eval()(100 * images)  # large: a smooth non-linearity is nearly linear around 0
    seen = seen[-len(layers):]
    for (_, output), (following, _) in zip(seen, seen[1:]):
        if output.shape == following.shape:
            output = output - output.mean(dim=0)
            following = following - following.mean(dim=0)
            alike = cosine_similarity(output, following, dim=0)
            assert alike.abs().min() < 0.9999, (
                "a layer gets the output of the one before, at most scaled: is a ReLU missing?")


def test_training_changes_every_weight(digits):
    network = common.first_network()
    before = {name: weights.clone() for name, weights in network.named_parameters()}
    train(network, digits, torch.optim.Adam(network.parameters(), lr=0.01))
    after = dict(network.named_parameters())
    still = [name for name, weights in before.items() if torch.equal(weights, after[name])]
    assert not still, (
        f"{still} did not change: are backward() and step() called, no zero_grad() between, and is "
        "every layer used?")


def test_gradients_do_not_pile_up_from_batch_to_batch(digits):
    together = nn.Linear(784, 10)
    apart = nn.Linear(784, 10)
    apart.load_state_dict(together.state_dict())
    train(together, digits, torch.optim.SGD(together.parameters(), lr=0.1))
    for half in (slice(0, 32), slice(32, 64)):
        apart.zero_grad()
        part = [tensor[half] for tensor in digits]
        train(apart, part, torch.optim.SGD(apart.parameters(), lr=0.1))
    assert torch.allclose(together.weight, apart.weight, atol=1e-5), (
        "two batches in one epoch give other weights than the same two one after the other: the "
        "gradients of the first are still there in the second. Call optimizer.zero_grad() and "
        "optimizer.step() for every batch.")


def test_an_epoch_learns_from_all_digits_in_training_mode(sample_test):
    network = nn.Linear(784, 10).eval()
    learned = []

    def remember(layer, inputs, output):
        if layer.training and output.requires_grad:
            learned.append(len(output))

    network.register_forward_hook(remember)
    train(network, sample_test, torch.optim.SGD(network.parameters(), lr=0.01))
    assert sum(learned) >= 1000, (
        f"{sum(learned)} of 1,000 digits were shown in training mode: call network.train() before "
        "the loop and after any eval() in it, since evaluation has switched dropout off, and do "
        "not leave the loop before its last batch")


def test_an_epoch_returns_the_mean_loss_as_a_number(sample_test):
    images, labels = sample_test
    network = nn.Linear(784, 10)
    still = torch.optim.SGD(network.parameters(), lr=0.0)  # changes nothing
    loss, = train(network, sample_test, still, batch_size=2)
    assert not getattr(loss, "requires_grad", False), (
        "the loss returned keeps every batch's graph: use loss.item()")
    expected = cross_entropy(network(images), labels).item()
    assert float(loss) == pytest.approx(expected, abs=1e-3), (
        f"train_one_epoch returns {loss:.3f}, the mean loss is {expected:.3f}")


def test_a_loss_that_is_no_number_stops_the_training(digits):
    images, labels = digits
    nothing = torch.full_like(images, torch.nan)
    network = nn.Linear(784, 10)
    with pytest.raises((Exception, SystemExit)) as stopped:
        train(network, [nothing, labels], torch.optim.SGD(network.parameters()))
        pytest.fail("training goes on with a loss that is NaN: stop, and say what to do", False)
    assert "rate" in str(stopped.value), (
        f"what is said when the loss is NaN, {str(stopped.value)!r}, does not help: the usual "
        "reason is a learning rate that is too high")


def test_the_network_can_learn_64_digits_by_heart(digits):
    torch.manual_seed(0)
    network = common.first_network()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    losses = train(network, digits, optimizer, epochs=120, batch_size=64)
    share = accuracy(network, *digits)
    assert share > 0.98 and losses[-1] < losses[0] / 2, (
        f"after 120 epochs on 64 digits {share:.0%} are learned by heart, and the loss went from "
        f"{losses[0]:.2f} to {losses[-1]:.2f}: the loop does not learn")


def test_the_script_trains_a_network_that_reads_digits(course, printed, sample_test):
    printed(3)
    check_figures(course, "03_loss_curves.png", 1)
    network, _ = load(course, "first_network.pt")
    share = accuracy(network, *sample_test)
    assert share > 0.85, (
        f"the network in outputs/first_network.pt reads {share:.1%} of the sample's test digits; "
        "about 93 % are normal. Is the optimizer built on this network's parameters, the learning "
        "rate sensible, the trained network saved?")


# Runs step 3, and then says what it claims, what is true, and how many curves that it drew go down
PROGRAM = """
import runpy
from unittest import mock
import common
from matplotlib.axes import Axes

with mock.patch.object(Axes, "add_line", autospec=True, side_effect=Axes.add_line) as add_line:
    runpy.run_path("03_train.py")
falling = set()  # so that a curve that is drawn twice counts once
for call in add_line.call_args_list:
    curve = tuple(call.args[1].get_ydata())
    if len(curve) > 1 and curve[0] > curve[-1]:
        falling.add(curve)
network, facts = common.load_network("first_network.pt", "03_train.py")
_, validation_loader = common.training_loaders()
loss, accuracy = common.evaluate(network, validation_loader)
print(float(facts["validation_accuracy"]), float(accuracy), len(falling))
"""


@pytest.fixture(scope="module")
def false_run(course, printed, tmp_path_factory):
    """A copy of the course with false labels in its test set, and the three numbers of PROGRAM"""
    printed(3)
    folder = falsify_test_labels(copy_course(tmp_path_factory.mktemp("false")))
    output, _ = finish(start(folder, "-c", PROGRAM))
    said, true, falling = output.split()[-3:]
    return folder, float(said), float(true), int(falling)


def test_test_labels_have_no_influence_on_step_3(course, false_run):
    folder, *_ = false_run
    network, _ = load(course, "first_network.pt")
    other, _ = load(folder, "first_network.pt")
    weights = network.state_dict().values()
    assert all(map(torch.equal, weights, other.state_dict().values())), (
        "with false labels in the test set step 3 trains another network. Has the test set a say "
        "in it? Or does chance come in before torch.manual_seed?")


def test_the_validation_accuracy_is_true(course, false_run, sample_test):
    _, said, true, _ = false_run
    assert said == pytest.approx(true, abs=0.002), (
        f"step 3 says that {said:.2%} of the validation digits are read right, evaluate finds "
        f"{true:.2%} afterwards. Does step 3 evaluate with the validation loader, and is the split "
        "seeded, so that every script has the same one?")
    network, _ = load(course, "first_network.pt")
    share = accuracy(network, *sample_test)
    assert said < share + 0.05, (
        f"{said:.1%} of the validation digits are read right, but {share:.1%} of the test digits: "
        "are the former learned from?")


def test_both_loss_curves_are_drawn(false_run):
    *_, falling = false_run
    assert falling >= 2, (
        f"{falling} different curves fall from the first epoch to the last; training and "
        "validation loss are two: was one of them drawn twice?")
