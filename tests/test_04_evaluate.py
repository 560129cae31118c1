"""Step 4: evaluation counts right, the choice is made without the test set, and the networks are good enough."""
import re

import common
import pytest
import torch
from conftest import accuracy, gather, ink, load
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

PASS = 0.90  # of the test digits; the course's pass mark


class FirstTen(nn.Module):
    """A network whose logits are its first ten inputs, so that the right answers are known. It notes how it is used."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.notes = []

    def forward(self, images):
        self.notes.append((self.training, torch.is_grad_enabled()))
        return images[:, :10] * self.scale


@pytest.fixture
def known_case():
    """Ten digits in batches of 4, 4 and 2. Seven are read right, and both of the last batch are wrong."""
    labels = torch.arange(10)
    logits = 5.0 * nn.functional.one_hot(torch.tensor([0, 1, 2, 3, 4, 5, 6, 0, 0, 0]), 10)
    images = torch.cat([logits, torch.zeros(10, 774)], dim=1)
    return DataLoader(TensorDataset(images, labels), batch_size=4), nn.functional.cross_entropy(logits, labels).item()


def test_accuracy_counts_digits_not_batches(known_case):
    _, share = common.evaluate(FirstTen(), known_case[0])
    assert share == pytest.approx(0.7, abs=1e-6), (
        f"7 of 10 digits are right, but evaluate says {share:.4f}, as a share. Divide the number of right digits by the "
        "number of digits; the last batch is smaller (0.58 = mean over batches) and counts too (0.88 = it was dropped).")


def test_loss_is_the_mean_over_all_digits(known_case):
    loss, _ = common.evaluate(FirstTen(), known_case[0])
    assert loss == pytest.approx(known_case[1], abs=1e-4), (
        f"the mean loss of these 10 digits is {known_case[1]:.4f}, but evaluate says {loss:.4f}: weigh the smaller last "
        "batch by its size, and leave out no batch")


def test_evaluation_switches_dropout_and_batch_norm_off(known_case):
    steady, shaky = FirstTen(), nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(784), FirstTen()).train()
    expected, found = common.evaluate(steady, known_case[0])[1], common.evaluate(shaky, known_case[0])[1]
    assert not any(training for training, _ in shaky[2].notes) and found == pytest.approx(expected), \
        "evaluate must call network.eval() before it counts: dropout blurs the answers, batch norm reckons with the batch"
    assert shaky[1].num_batches_tracked == 0, "evaluation changed the statistics of the batch norm layer: call network.eval()"


def test_evaluation_tracks_no_gradients(known_case):
    network = FirstTen()
    common.evaluate(network, known_case[0])
    assert not any(tracked for _, tracked in network.notes), "evaluation tracks gradients: put it under torch.no_grad()"


def test_the_first_network_reaches_the_threshold(full_mnist):
    torch.manual_seed(0)
    network, (loader, _) = common.first_network(), common.training_loaders()
    optimizer = torch.optim.Adam(network.parameters())
    epochs = 5 if full_mnist else 20
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.003 * (1 - epoch / epochs) ** 2
        common.train_one_epoch(network, loader, optimizer)
    share, goal = accuracy(network, *gather(common.test_loader())), 0.975 if full_mnist else PASS
    assert share >= goal, (
        f"after {epochs} epochs of training the first network reads {share:.2%} of the test digits, less than {goal:.1%}. "
        "If the tests of steps 1 to 3 pass, it is too small or badly shaped: look at first_network in common.py.")


def test_the_choice_does_not_depend_on_the_test_labels(course, false_course, step_4):
    (honest, facts), (other, other_facts) = [load(folder / "outputs" / "tuned_network.pt") for folder in (course, false_course)]
    weights, other_weights = honest.state_dict(), other.state_dict()
    same = facts["settings"] == other_facts["settings"] and weights.keys() == other_weights.keys() and all(
        torch.equal(weights[name], other_weights[name]) for name in weights)
    assert same, ("with false labels in the test set step 4 chose or trained another network, so the test set has a say "
                  "in it. Compare candidates and stop training by the validation digits only.")


def test_several_settings_were_really_tried(step_4):
    table = step_4[0].lower().split("test accuracy")[0]
    rows = [line for line in table.splitlines() if line.count("%") and "epoch " not in line]
    found = [re.findall(r"\d+\.\d+ ?%", row)[-1:] for row in rows]
    assert len(rows) >= 7, f"the tuning table has {len(rows)} rows with a validation accuracy in %; at least 7 are asked for"
    assert len({*map(tuple, found)}) >= 4, "the candidates have (nearly) all the same accuracy: are their settings used?"


def test_the_printed_test_accuracy_was_computed(course, false_course, step_4, sample_test):
    images, labels = sample_test
    for folder, truth, printed in [(course, labels, step_4[0]), (false_course, (labels + 1) % 10, step_4[1])]:
        share = 100 * accuracy(load(folder / "outputs" / "tuned_network.pt")[0], images, truth)
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", printed.lower().split("test accuracy")[-1])]
        assert any(abs(number - share) < 0.06 or abs(100 * number - share) < 0.06 for number in numbers), (
            f"the tuned network reads {share:.1f} % of the test digits, but step 4 prints no such number after 'Test "
            "accuracy'. Is it computed in this run, over all test digits?")


def test_the_tuned_network_passes_and_beats_the_first(course, step_4, sample_test):
    first, tuned = [accuracy(load(course / "outputs" / name)[0], *sample_test) for name in ("first_network.pt", "tuned_network.pt")]
    assert tuned >= PASS, f"the tuned network reads {tuned:.1%} of the sample's test digits; the pass mark is {PASS:.0%}"
    assert tuned > first, f"tuning made it worse: {first:.1%} before, {tuned:.1%} after. Is the best candidate picked and saved?"


def test_the_script_draws_its_figures(course, step_4):
    figures = sorted((course / "outputs").glob("04_*.png"))
    assert len(figures) >= 3, f"outputs/ has {len(figures)} figures of step 4: first against tuned, confusion matrix, mistakes"
    for figure in figures:
        assert ink(figure) > 0.03, f"{figure.name} is (nearly) blank: draw first and save then"
