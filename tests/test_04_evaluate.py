"""Step 4: the best candidate is taken, the test set chooses nothing, the networks are good."""
import re
from itertools import combinations

import pytest
import torch
from course import SIZE, TEST_IMAGES, TEST_LABELS, accuracy, check_drawn, check_equal
from course import check_non_linear, check_plain_logits, common, load
from course import networks_with_validation_digits, optional, run_step, split

PASS = 0.90  # of the test digits; the course's pass mark


def test_the_first_network_reaches_the_threshold():
    torch.manual_seed(0)
    network = common.first_network()
    loader, _ = common.training_loaders()
    for rate in [0.003] * 15 + [0.0003]:
        optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        common.train_one_epoch(network, loader, optimizer)
    share = accuracy(network)
    assert share >= PASS, (
        f"after 16 epochs the first network reads {share:.2%} of the test digits, less than "
        f"{PASS:.0%}. If the tests of steps 1 to 3 pass, look at first_network in common.py: it is "
        "too small or badly shaped.")


def test_a_convolutional_network_gives_ten_plain_logits_for_each_digit():
    network = optional(vars(common), "convolutional_network")()
    check_plain_logits("convolutional_network", network, TEST_IMAGES[:64])


def test_a_convolutional_network_has_a_non_linearity_after_each_hidden_layer():
    check_non_linear(optional(vars(common), "convolutional_network")(), TEST_IMAGES[:64])


def split_at_the_test(step):
    before, _, after = step.printed.lower().replace(",", "").partition("test accuracy")
    return before, after


@pytest.fixture
def rows(step4):
    """The table: each candidate's line, with its number of weights, and accuracy, as printed"""
    before, _ = split_at_the_test(step4)
    return re.findall(r"^(.*(?<!\.)\b\d{4,}\b.*?)(\d+\.\d+) ?%\s*$", before, re.MULTILINE)


@pytest.fixture
def tuned(step4):
    network, _ = load(step4, "tuned_network.pt")
    return network


def test_the_test_digits_play_no_part_in_training_and_choosing(tuned, other_step3):
    run_step(other_step3.folder, "04_evaluate.py")
    check_equal(tuned, other_step3, "tuned_network.pt")


def test_the_test_digits_come_last(step4):
    _, last = step4.updates[-1]  # how many batches had been given
    assert (torch.cat(step4.given[:last]) < SIZE).all(), (
        "a loader gave test digits before the last update: they come at the very end, when nothing "
        "is left to be learned or chosen")


def test_several_settings_were_really_tried(rows):
    assert len(rows) >= 7, (
        f"{len(rows)} rows with a number of weights and a validation accuracy in % stand before "
        "the words 'Test accuracy'; at least 7 are asked for, and the test digits have no place "
        "in the table")


def test_the_candidates_are_judged_on_validation_digits(rows):
    _, labels, _ = split("validation")
    number = 2 * len(labels)  # twice: an accuracy may be the mean of two
    possible = {f"{100 * right / number:.2f}" for right in range(number + 1)}
    fitting = [share for *_, share in rows if share in possible]
    assert len(fitting) >= len(rows) / 2, (
        f"of the accuracies in the table, most are no whole number of {number // 2} validation "
        "digits, with two decimals: judge the candidates by these, neither by "
        "digits that they have learned from nor by the test digits")


def test_each_candidate_is_a_new_network(rows, step4):
    assert len(step4.networks) >= len(rows), (
        f"the table has {len(rows)} rows, but only {len(step4.networks)} networks were trained: "
        "build a new one for each candidate, instead of going on with one that has learned already")


def are_equal(network, other):
    weights = list(network.parameters())
    others = list(other.parameters())
    return len(weights) == len(others) and all(map(torch.equal, weights, others))


def test_the_candidates_learn_from_training_digits_alone(step4):
    leaks = networks_with_validation_digits(step4)
    assert len(leaks) <= 1, (
        f"{len(leaks)} networks learned from validation digits, by which they are judged, or from "
        "all digits of the training set, which is the same; only the winner may, in the end")


def test_no_two_candidates_end_with_the_same_weights(rows, step4):
    candidates = zip(rows, step4.networks)
    for (row, one), (other_row, other) in combinations(candidates, 2):
        assert not are_equal(one, other), (
            f"{row[0].strip()!r} and {other_row[0].strip()!r} were trained to exactly the same "
            "weights: what is different in their settings is not used")


def test_the_best_candidate_was_taken(rows, step4, tuned):
    weights = sum(weight.numel() for weight in tuned.parameters())
    best = max(float(share) for *_, share in rows)
    shares = [float(share) for line, share in rows if re.search(rf"\b{weights}\b", line)]
    for (_, share), candidate in zip(rows, step4.networks):
        if are_equal(candidate, tuned):  # not trained again
            shares = [float(share)]
    assert best in shares, (
        f"the best candidate has {best} % in the table, but outputs/tuned_network.pt is none with "
        f"this accuracy (it has {weights} weights): is each row printed with its number of "
        "weights, and the best one trained and saved?")


def test_the_printed_test_accuracy_was_computed(step4, tuned):
    share = accuracy(tuned)
    _, after = split_at_the_test(step4)
    assert f"{100 * share:.1f}" in after or f"{share:.3f}" in after, (
        f"as loaded from outputs/tuned_network.pt, the network reads {share:.1%} of the test "
        "digits, but step 4 prints no such number after 'Test accuracy'. Is the network that is "
        "saved the one that is tested, is all of state_dict() saved (parameters() lacks the "
        "averages of batch normalization), and is the number computed in this run, over all test "
        "digits?")


def test_three_figures_are_drawn(step4):
    check_drawn(step4, "04_*.png", 3)


def test_the_tuned_network_passes_and_beats_the_first(step3, tuned):
    first, _ = load(step3, "first_network.pt")
    first = accuracy(first)
    tuned = accuracy(tuned)
    assert tuned >= PASS, (
        f"the tuned network reads {tuned:.1%} of the sample's test digits; the pass mark is "
        f"{PASS:.0%}")
    assert tuned > first - 0.01, (  # which may be chance
        f"tuning made it worse: {first:.1%} before, {tuned:.1%} after. Is the best candidate "
        "picked and saved?")


def test_no_network_has_learned_mirrored_digits(step4):
    pictures = TEST_IMAGES.unflatten(1, (28, 28))
    for network in step4.networks:
        for sides in [[2], [1], [1, 2]]:  # left and right, top and bottom, or both exchanged
            share = accuracy(network, pictures.flip(sides).flatten(1))
            assert share < 0.6, (  # 0.2 to 0.5 is usual
                f"a network reads {share:.0%} of mirrored or turned digits, which it can only have "
                "learned: a mirrored 2 is no 2, so no augmentation may mirror it, or turn it far")
