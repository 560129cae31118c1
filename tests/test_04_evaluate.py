"""Step 4: evaluation counts right, the test set chooses nothing, the networks are good enough."""
import re
import shutil
from itertools import combinations

import common
import pytest
import torch
from conftest import FULL, accuracy, check_figures, check_that_it_asks_for, falsify_test_labels
from conftest import finish, gather, load, start
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

PASS = 0.90  # of the test digits; the course's pass mark


@pytest.fixture
def known_case():
    """A network whose logits are its first ten inputs, and ten digits in batches of 4, 4 and 2

    The last three digits are read wrong, two of them in the smaller batch.
    """
    network = nn.Linear(784, 10, bias=False)
    nn.init.eye_(network.weight)
    strength = torch.tensor([0, 12, 12, 12, 12, 12, 12, 5, 5, 5])
    images = torch.eye(784)[:10] * strength.unsqueeze(1)
    images[:, 0] = 6  # each looks like a 0, too
    digits = TensorDataset(images, torch.arange(10))
    return network, DataLoader(digits, batch_size=4)


def test_accuracy_and_loss_count_digits_not_batches(known_case):
    loss, share = common.evaluate(*known_case)
    assert share == pytest.approx(0.7, abs=1e-6), (
        f"7 of 10 digits are right, but evaluate says {share:.4f}, as a share. Divide the number "
        "of right digits by the number of digits; the last batch is smaller (0.58 = mean over "
        "batches) and counts too (0.88 = it was dropped).")
    assert loss == pytest.approx(0.4020, abs=1e-3), (
        f"the mean loss of these 10 digits is 0.4020, but evaluate says {loss:.4f}: weigh the "
        "smaller last batch by its size (0.5563 = mean over batches), and leave out no batch")


def test_evaluation_switches_dropout_batch_norm_and_gradients_off(known_case):
    network, loader = known_case
    shaky = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(784), network).train()
    training = []
    gradients = []

    def remember(layer, inputs, output):
        training.append(layer.training)
        gradients.append(torch.is_grad_enabled())

    network.register_forward_hook(remember)
    _, share = common.evaluate(shaky, loader)
    counted_on = shaky[1].num_batches_tracked
    assert not any(training) and share == pytest.approx(0.7) and counted_on == 0, (
        "evaluate must call network.eval() before it counts: dropout blurs the answers, batch norm "
        "reckons with the batch")
    assert not any(gradients), "evaluation tracks gradients: put it under torch.no_grad()"


def test_the_first_network_reaches_the_threshold():
    torch.manual_seed(0)
    network = common.first_network()
    loader, _ = common.training_loaders()
    optimizer = torch.optim.Adam(network.parameters())
    epochs, goal = (5, 0.975) if FULL else (20, PASS)
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = 0.003 * (1 - epoch / epochs) ** 2
        common.train_one_epoch(network, loader, optimizer)
    share = accuracy(network, *gather(common.test_loader()))
    assert share >= goal, (
        f"after {epochs} epochs of training the first network reads {share:.2%} of the test "
        f"digits, less than {goal:.1%}. If the tests of steps 1 to 3 pass, it is too small or "
        "badly shaped: look at first_network in common.py.")


def before_the_test(text):
    return text.lower().split("test accuracy")[0].replace(",", "")


@pytest.fixture(scope="module")
def false_run(course, printed, tmp_path_factory):
    """A copy of the course in which every test label is false, and what step 4 prints there"""
    printed(3)
    folder = tmp_path_factory.mktemp("false") / "course"
    falsify_test_labels(shutil.copytree(course, folder))
    process = start(folder, "04_evaluate.py")
    printed(4)  # at the same time
    output, _ = finish(process)
    return folder, output


@pytest.fixture
def watched(course, printed):
    """What watch.py has kept of step 4"""
    printed(4)
    return torch.load(course / "watched.pt", weights_only=True)


def test_the_choice_does_not_depend_on_the_test_labels(course, printed, false_run):
    folder, text = false_run
    shares = re.findall(r"\d+\.\d+ ?%", before_the_test(printed(4)))
    other_shares = re.findall(r"\d+\.\d+ ?%", before_the_test(text))
    network, _ = load(course, "tuned_network.pt")
    other, _ = load(folder, "tuned_network.pt")
    same_network = str(network) == str(other)
    weights = network.state_dict().values()
    same_weights = same_network and all(map(torch.equal, weights, other.state_dict().values()))
    assert shares == other_shares and same_weights, (
        "with false labels in the test set step 4 prints another table, or chooses or trains "
        "another network, so the test set has a say in it: compare candidates and stop training by "
        "the validation digits only. (Or it is chance, without a seed.)")


def rows_of_the_table(text):
    """The last accuracy of each line that has a number of weights and an accuracy, as printed"""
    rows = {}
    for line in before_the_test(text).splitlines():
        is_sentence = line.endswith((".", "?", ":"))
        weights = re.search(r"(?<!\.)\b\d{4,}\b", line)
        shares = re.findall(r"(\d+\.\d+) ?%", line)
        if weights and shares and not is_sentence:
            rows[line] = shares[-1]
    return rows


def test_several_settings_were_really_tried(printed):
    rows = rows_of_the_table(printed(4))
    assert len(rows) >= 7, (
        f"{len(rows)} rows with a number of weights and a validation accuracy in % stand before "
        "the words 'Test accuracy'; at least 7 are asked for, and the test digits have no place "
        "in the table")
    assert len(set(rows.values())) >= 4, (
        "the candidates have (nearly) all the same accuracy: are their settings used?")


def test_the_candidates_are_judged_on_validation_digits(printed, watched):
    number = watched["validation"]
    rows = rows_of_the_table(printed(4))
    fitting = 0
    for share in rows.values():
        _, decimals = share.split(".")
        right = float(share) / 100 * number * 2  # twice: it may be the mean of two accuracies
        rounding = 0.1 ** len(decimals) / 100 * number
        fitting += abs(right - round(right)) <= rounding
    assert fitting >= len(rows) / 2, (
        f"of the accuracies in the table, most are no whole number of {number} validation digits: "
        "judge the candidates by the digits that they have not learned from")


def test_each_candidate_is_a_new_network(printed, watched):
    rows = rows_of_the_table(printed(4))
    number = len(watched["networks"])
    assert number >= len(rows), (
        f"the table has {len(rows)} rows, but only {number} networks were trained: build a new one "
        "for each candidate, instead of going on with one that has learned already")


def test_no_two_candidates_end_with_the_same_weights(watched):
    *candidates, winner = watched["networks"]
    for one, other in combinations(candidates, 2):
        assert not torch.equal(one, other), (
            "two candidates were trained to exactly the same weights: one of their settings, the "
            "learning rate for example, is not used")


def test_the_best_candidate_was_taken(course, printed):
    rows = rows_of_the_table(printed(4))
    best = max(map(float, rows.values()))
    network, _ = load(course, "tuned_network.pt")
    weights = sum(weight.numel() for weight in network.parameters())
    mine = [float(share) for line, share in rows.items() if re.search(rf"\b{weights}\b", line)]
    assert mine and max(mine) == best, (
        f"the best candidate has {best} % in the table, but outputs/tuned_network.pt is none with "
        f"this accuracy (it has {weights} weights): is each row printed with its number of "
        "weights, and the best one trained and saved?")


@pytest.mark.parametrize("labels", ["true", "false"])
def test_the_printed_test_accuracy_was_computed(labels, course, false_run, printed, sample_test):
    folder, text = false_run
    images, truth = sample_test
    if labels == "true":
        folder, text = course, printed(4)
    else:
        truth = (truth + 1) % 10
    network, _ = load(folder, "tuned_network.pt")
    share = 100 * accuracy(network, images, truth)
    after = text.lower().split("test accuracy")[-1]
    numbers = [float(number) for number in re.findall(r"\d+\.\d+", after)]
    as_percent = any(abs(number - share) < 0.06 for number in numbers)
    as_share = any(abs(100 * number - share) < 0.06 for number in numbers)
    assert as_percent or as_share, (
        f"the tuned network reads {share:.1f} % of the test digits, but step 4 prints no such "
        "number after 'Test accuracy'. Is it computed in this run, over all test digits?")


def test_three_figures_are_drawn(course, printed):
    printed(4)
    check_figures(course, "04_*.png", 3)


def standardized(pictures):
    """A digit's pixels say the same from 0 to 255, from 0 to 1, normalized, and black on white."""
    deviations = pictures - pictures.mean(dim=1, keepdim=True)
    return deviations / deviations.norm(dim=1, keepdim=True)


def test_the_surest_mistakes_are_mistakes(course, watched, sample_test):
    images, labels = sample_test
    network, _ = load(course, "tuned_network.pt")
    wrong = network(images).argmax(dim=1) != labels
    shares = []  # for each figure that shows test digits, the share of them that was read wrong
    for pictures in watched["figures"]:
        if pictures:
            likeness = standardized(torch.stack(pictures)) @ standardized(images).T
            same, place = likeness.abs().max(dim=1)
            shown = place[same > 0.999]
            if len(shown):
                shares.append(wrong[shown].float().mean().item())
    assert not shares or max(shares) == 1, (
        "the figures show test digits, but none shows only digits that the tuned network reads "
        "wrong: the surest mistakes are those where the prediction is not the label")


def test_the_tuned_network_passes_and_beats_the_first(course, printed, sample_test):
    printed(4)
    first, _ = load(course, "first_network.pt")
    tuned, _ = load(course, "tuned_network.pt")
    first = accuracy(first, *sample_test)
    tuned = accuracy(tuned, *sample_test)
    assert tuned >= PASS, (
        f"the tuned network reads {tuned:.1%} of the sample's test digits; the pass mark is "
        f"{PASS:.0%}")
    assert tuned > first, (
        f"tuning made it worse: {first:.1%} before, {tuned:.1%} after. Is the best candidate "
        "picked and saved?")


def test_before_step_3_a_line_says_what_to_run(tmp_path):
    check_that_it_asks_for("03_train.py", "04_evaluate.py", tmp_path)
