"""Step 3: a network with hidden layers, a training loop that learns, and a loss curve."""
import common
import pytest
import torch
from conftest import accuracy, check_figures, copy_course, falsify_test_labels, finish, load, start
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@pytest.fixture
def digits(sample_test):
    return [part[:960:15] for part in sample_test]  # 64, of all classes


def train(network, digits, optimizer, epochs=1, batch_size=32):
    loader = DataLoader(TensorDataset(*digits), batch_size=batch_size)
    return [common.train_one_epoch(network, loader, optimizer) for _ in range(epochs)]


def test_the_first_network_returns_ten_logits(digits):
    network = common.first_network().eval()
    output = network(digits[0])
    assert output.shape == (64, 10), f"64 digits give {tuple(output.shape)}, not (64, 10): one output for each class"
    sums = [part.sum(dim) for part in (output, output.exp()) for dim in (0, 1)]
    assert not any(torch.allclose(total, torch.ones(1), atol=1e-3) for total in sums), \
        "the network ends with a softmax. Return plain logits: cross_entropy has the softmax in it already."
    assert torch.equal(output, network(digits[0])), "the same digits get other logits: use nn.Dropout, which eval() switches off"
    assert output.min() < 0, "no logit is negative: does a ReLU stand after the last layer?"


def test_the_first_network_has_two_hidden_layers_with_a_non_linearity_after_each(digits):
    network, seen = common.first_network().eval(), []
    layers = [layer for layer in network.modules() if any(w.ndim >= 2 for w in layer.parameters(recurse=False))
              and not isinstance(layer, nn.LayerNorm) and getattr(layer, "groups", 1) == 1]  # both go with the layer beside them
    assert len(layers) >= 3, f"{len(layers)} layers with weights: two hidden layers and the output make at least 3"
    for layer in layers:
        layer.register_forward_hook(lambda _, inputs, output: seen.append([x.flatten(1).clone() for x in (*inputs, output)]))
    a, b = digits[0][:32], digits[0][32:]
    curved = (network(a + b) - network(a) - network(b) + network(0 * a)).abs().max()
    assert curved > 1e-3, "the network is a linear function, as if it had no hidden layer: put a ReLU between the layers"
    logits = network.train()(digits[0]).flatten(1)
    assert seen[-1][1].shape != logits.shape or torch.equal(seen[-1][1], logits), \
        "the last layer's output is changed before it is returned: put no ReLU, tanh, softmax or dropout after it"
    network.eval()(100 * digits[0])  # large, because a smooth non-linearity is nearly linear around 0
    for (_, output), (following, _) in zip(seen[-len(layers):], seen[1 - len(layers):]):
        if output.shape == following.shape:
            alike = torch.cosine_similarity(output - output.mean(dim=0), following - following.mean(dim=0), dim=0)
            assert alike.abs().min() < 0.9999, "a layer gets the output of the one before, at most scaled: is a ReLU missing?"


def test_training_changes_every_weight(digits):
    network = common.first_network()
    before = {name: weights.clone() for name, weights in network.named_parameters()}
    train(network, digits, torch.optim.Adam(network.parameters(), lr=0.01))
    still = [name for name, weights in network.named_parameters() if torch.equal(weights, before[name])]
    assert not still, f"{still} did not change: are backward() and step() called, no zero_grad() between, and is every layer used?"


def test_gradients_do_not_pile_up_from_step_to_step(digits):
    together, apart = nn.Linear(784, 10), nn.Linear(784, 10)
    apart.load_state_dict(together.state_dict())
    train(together, digits, torch.optim.SGD(together.parameters(), lr=0.1))
    for half in (slice(0, 32), slice(32, 64)):
        apart.zero_grad()
        train(apart, [part[half] for part in digits], torch.optim.SGD(apart.parameters(), lr=0.1))
    assert torch.allclose(together.weight, apart.weight, atol=1e-5), (
        "two batches in one epoch give other weights than the same two one after the other: the gradients of the first "
        "are still there in the second. Call optimizer.zero_grad() and optimizer.step() for every batch.")


def test_an_epoch_learns_from_all_digits_in_training_mode_and_returns_the_mean_loss(sample_test):
    network, learned = nn.Linear(784, 10).eval(), []
    network.register_forward_hook(lambda _, inputs, output: learned.append(len(output) * network.training * output.requires_grad))
    loss, = train(network, sample_test, torch.optim.SGD(network.parameters(), lr=0.0), batch_size=2)  # lr=0.0 changes nothing
    assert sum(learned) >= 1000, (
        f"{sum(learned)} of 1,000 digits were shown in training mode: call network.train() before the loop and after any eval() "
        "in it, since evaluation has switched dropout off, and do not leave the loop before its last batch")
    assert not getattr(loss, "requires_grad", False), "the loss returned keeps every batch's graph: use loss.item()"
    expected = nn.functional.cross_entropy(network(sample_test[0]), sample_test[1]).item()
    assert float(loss) == pytest.approx(expected, abs=1e-3), f"train_one_epoch returns {loss:.3f}, the mean loss is {expected:.3f}"


def test_the_network_can_learn_64_digits_by_heart(digits):
    torch.manual_seed(0)
    network = common.first_network()
    losses = train(network, digits, torch.optim.Adam(network.parameters(), lr=0.003), epochs=120, batch_size=64)
    share = accuracy(network, *digits)
    assert share > 0.98 and losses[-1] < losses[0] / 2, (
        f"after 120 epochs on 64 digits {share:.0%} are learned by heart, and the loss went from {losses[0]:.2f} to "
        f"{losses[-1]:.2f}: the loop does not learn")


def test_the_script_trains_a_network_that_reads_digits_and_draws_both_loss_curves(course, printed, sample_test):
    printed(3)
    check_figures(course, "03_loss_curves.png", 1)
    share = accuracy(load(course, "first_network.pt")[0], *sample_test)
    assert share > 0.85, (
        f"the network in outputs/first_network.pt reads {share:.1%} of the sample's test digits; about 93 % are normal. Is "
        "the optimizer built on this network's parameters, the learning rate sensible, the trained network saved?")


# Runs step 3, and then says what it claims, what is true, and how many of the curves it drew go down
PROGRAM = """
import runpy
from unittest import mock
import common
from matplotlib.axes import Axes

with mock.patch.object(Axes, "add_line", autospec=True, side_effect=Axes.add_line) as add_line:
    runpy.run_path("03_train.py")
curves = [call.args[1].get_ydata() for call in add_line.call_args_list]
network, facts = common.load_network("first_network.pt", "03_train.py")
print(float(facts["validation_accuracy"]), float(common.evaluate(network, common.training_loaders()[1])[1]),
      sum(len(curve) > 1 and curve[0] > curve[-1] for curve in curves))
"""


def test_a_run_with_false_test_labels_gives_the_same_network_and_true_validation_accuracy(course, printed, sample_test, tmp_path):
    printed(3)
    process = start(falsify_test_labels(copy_course(tmp_path)), "-c", PROGRAM)
    said, true, falling = map(float, finish(process)[0].split()[-3:])
    network, other = [load(folder, "first_network.pt")[0] for folder in (course, tmp_path)]
    assert all(map(torch.equal, network.state_dict().values(), other.state_dict().values())), (
        "with false labels in the test set step 3 trains another network. Has the test set a say in it? Or does chance come in "
        "before torch.manual_seed?")
    assert said == pytest.approx(true, abs=0.002), (
        f"step 3 says that {said:.2%} of the validation digits are read right, evaluate finds {true:.2%} afterwards. Does step 3 "
        "evaluate with the validation loader, and is the split seeded, so that every script has the same one?")
    assert falling >= 2, (
        f"{falling:.0f} of the curves drawn fall from the first epoch to the last; training and validation loss are two")
    share = accuracy(network, *sample_test)
    assert said < share + 0.05, (
        f"{said:.1%} of the validation digits are read right, but {share:.1%} of the test digits: are the former learned from?")


def test_a_loss_that_is_no_number_stops_the_training(digits):
    images = torch.full_like(digits[0], torch.nan)
    network = nn.Linear(784, 10)
    with pytest.raises((Exception, SystemExit)) as stopped:
        train(network, [images, digits[1]], torch.optim.SGD(network.parameters()))
        pytest.fail("training goes on with a loss that is NaN: stop with a line that says what to do", False)
    assert "rate" in str(stopped.value), (
        f"what is said when the loss is NaN, {str(stopped.value)!r}, does not help: the usual "
        "reason is a learning rate that is too high")
