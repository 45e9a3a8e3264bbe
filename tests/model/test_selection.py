"""The choice of inputs: what tells something stays, what tells nothing goes, and nothing at all is said."""

import numpy as np
import pytest

from studyml.errors import TrainingError
from studyml.model import selection
from studyml.model.selection import select_by_fold, select_inputs

ROWS, NOISE = 400, 20
ALL = np.ones((5, 2 + NOISE), bool)


def data(seed: int, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs of which the first two tell the length, hours, and folds."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(ROWS, 2 + NOISE)).astype(np.float32)
    logs = strength * (0.6 * matrix[:, 0] - 0.3 * matrix[:, 1]) + random.normal(0, 0.3, ROWS)
    return matrix, np.exp(logs), np.arange(ROWS) % 5


@pytest.mark.parametrize("seed", range(5))
def test_what_tells_the_length_is_kept_and_most_noise_is_not(seed: int) -> None:
    kept = select_inputs(*data(seed))

    assert {0, 1} <= set(kept)
    assert len(kept) <= 2 + NOISE // 4
    assert kept == sorted(set(kept))


def test_the_same_rows_keep_the_same_inputs_in_any_order_of_the_columns() -> None:
    matrix, hours, folds = data(1)
    order = np.random.default_rng(5).permutation(matrix.shape[1])

    shuffled = select_inputs(matrix[:, order], hours, folds)

    assert select_inputs(matrix, hours, folds) == sorted(order[shuffled].tolist())


def test_where_nothing_tells_the_length_nothing_is_kept() -> None:
    assert select_inputs(*data(0, strength=0.0)) == []


def test_where_nothing_tells_the_length_in_any_fold_it_says_so() -> None:
    with pytest.raises(TrainingError, match="no input tells anything about the length"):
        select_by_fold(*data(0, strength=0.0), ALL)


@pytest.mark.parametrize("hours", [np.full(ROWS, 2.0), np.where(np.arange(ROWS) == 7, 3.0, 2.0)])
def test_labels_that_hardly_vary_are_a_sentence_too(hours: np.ndarray) -> None:
    matrix, _, folds = data(0)
    with pytest.raises(TrainingError, match="no input tells anything"):
        select_by_fold(matrix, hours, folds, ALL)


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_has_no_say_in_what_its_own_member_sees(fold: int) -> None:
    matrix, hours, folds = data(3)
    inside, other = folds == fold, np.random.default_rng(fold).lognormal(0, 0.7, ROWS)

    before, after = (select_by_fold(matrix, each, folds, ALL) for each in (hours, np.where(inside, other, hours)))

    assert before.shape == (5, 2 + NOISE)
    assert (before[fold] == after[fold]).all()
    assert before[fold, :2].all()
    assert (before != after).any(), "the other members see what changed"


@pytest.mark.parametrize(("telling", "is_chance"), [(2, True), (3, False)])
def test_what_a_minority_of_the_folds_selects_is_taken_for_chance(
    monkeypatch: pytest.MonkeyPatch, telling: int, is_chance: bool
) -> None:
    answers = iter([[0]] * telling + [[]] * (5 - telling))
    monkeypatch.setattr(selection, "select_inputs", lambda *_: next(answers))

    if is_chance:
        with pytest.raises(TrainingError, match="no input tells anything"):
            select_by_fold(*data(0), ALL)
    else:
        assert select_by_fold(*data(0), ALL).sum(axis=1).tolist() == [1, 1, 1, 0, 0]


@pytest.mark.parametrize("count", [2, 3])
def test_few_folds_are_enough(count: int) -> None:
    matrix, hours, _ = data(4)

    assert select_by_fold(matrix, hours, np.arange(ROWS) % count, ALL[:count])[:, :2].all()


def test_a_member_sees_only_what_was_a_candidate_of_its_fold() -> None:
    candidates = ALL.copy()
    candidates[2, 0] = candidates[3, 1] = False

    seen = select_by_fold(*data(1), candidates)

    assert not (seen & ~candidates).any()
    assert seen[:, :2].tolist() == candidates[:, :2].tolist()
