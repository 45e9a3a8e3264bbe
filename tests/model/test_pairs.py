"""The search for features that tell more together: finds them, and finds none where each tells alone."""

import numpy as np
import pytest

from studyml.model.pairs import MOST_PAIRS, pairs_by_fold, telling_pairs

ROWS = 600
NAMES = tuple("abcdefgh")
#: Of a step where two numbers meet, and of words whose effects depend on one another.
STEP, WORDS = ("a", "b"), ("c", "d")


def parts(random: np.random.Generator, rows: int = ROWS) -> dict[str, np.ndarray]:
    """Eight features, each with five parts."""
    return {name: random.integers(1, 6, rows) for name in NAMES}


def matrix(found: dict[str, np.ndarray]) -> np.ndarray:
    return np.column_stack(list(found.values())).astype(np.float32)


def alone(found: dict[str, np.ndarray]) -> np.ndarray:
    """Log hours that each feature tells alone, in steps of its own."""
    return 0.1 * found["a"] + 0.3 * (found["b"] > 2) - 0.2 * (found["c"] == 3)


def together(found: dict[str, np.ndarray], random: np.random.Generator) -> np.ndarray:
    step = 0.5 * ((found["a"] <= 2) & (found["b"] >= 4))
    return step + random.normal(0, 0.3, 36)[found["c"] * 6 + found["d"]]


def hours(logs: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.exp(logs + random.normal(0, 0.25, len(logs)))


@pytest.mark.parametrize("seed", range(5))
def test_pairs_that_tell_more_together_are_found_the_clearest_first(seed: int) -> None:
    random = np.random.default_rng(seed)
    found = parts(random)

    pairs = telling_pairs(matrix(found), found, hours(alone(found) + together(found, random), random))

    assert set(pairs) == {STEP, WORDS}


def test_where_each_tells_alone_about_one_log_in_twenty_has_a_pair() -> None:
    logs = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        found = parts(random, 300)
        logs += bool(telling_pairs(matrix(found), found, hours(alone(found), random)))

    assert logs <= 9, "60 logs at 5 %: more than 9 has a chance of about 1 in 1000"


def test_what_is_fitted_alone_counts_for_no_pair() -> None:
    random = np.random.default_rng(1)
    found = parts(random)
    product = (found["a"] * found["b"]).astype(np.float32)

    logs = hours(0.05 * product, random)

    assert telling_pairs(matrix(found), found, logs) == (STEP,)
    assert telling_pairs(np.column_stack([matrix(found), product]), found, logs) == ()


@pytest.mark.parametrize("seed", range(8))
def test_a_pair_that_explains_everything_is_found(seed: int) -> None:
    found = parts(np.random.default_rng(seed))

    assert STEP in telling_pairs(matrix(found), found, np.exp(np.where((found["a"] - found["b"]) % 2, 1.0, 0.5)))


def test_labels_that_do_not_differ_tell_no_pair() -> None:
    found = parts(np.random.default_rng(0))

    assert telling_pairs(matrix(found), found, np.ones(ROWS)) == ()


@pytest.mark.parametrize(("rows", "enough"), [(90, False), (400, True)])
def test_too_few_rows_tell_no_pair_however_clear(rows: int, enough: bool) -> None:
    found = parts(np.random.default_rng(0), rows)
    clear = np.exp(np.where((found["a"] - found["b"]) % 2, 1.0, 0.5))

    assert bool(telling_pairs(matrix(found), found, clear)) is enough


def test_there_are_so_many_pairs_at_most() -> None:
    random = np.random.default_rng(2)
    found = parts(random, 3000)
    names = list(found)
    logs = sum(
        random.normal(0, 0.2, 36)[found[first] * 6 + found[second]]
        for place, first in enumerate(names)
        for second in names[:place]
    )

    assert len(telling_pairs(matrix(found), found, hours(np.asarray(logs), random))) == MOST_PAIRS


@pytest.mark.parametrize("constant", [0, 1])
def test_a_feature_without_parts_is_in_no_pair(constant: int) -> None:
    random = np.random.default_rng(3)
    found = {**parts(random), "a": np.full(ROWS, constant)}

    pairs = telling_pairs(matrix(found), found, hours(alone(found) + together(found, random), random))

    assert pairs == (WORDS,)


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_has_no_say_in_its_own_pairs(fold: int) -> None:
    random = np.random.default_rng(4)
    found, folds = parts(random), np.arange(ROWS) % 5
    told = hours(together(found, random), random)
    others = np.where(folds == fold, random.lognormal(0, 2, ROWS), told)

    before, after = (pairs_by_fold(matrix(found), found, each, folds) for each in (told, others))

    assert len(before) == 5
    assert before[fold] == after[fold]
    assert before[fold]
    assert before != after, "the other folds see what changed"
