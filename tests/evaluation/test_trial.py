"""The rule of a trial: what a look decides, and that nothing is decided between looks."""

import numpy as np
import pytest

from studyml.evaluation.trial import CONTINUE, PROMOTE, RETIRE, Finding, Pairs, judge_trial

MINIMUM = 100


def pairs(outcomes: int, ratio: float, *, seed: int = 1) -> Pairs:
    """The champion errs by some 1 h, the challenger about ``ratio`` times as much, with noise of its own."""
    random = np.random.default_rng(seed)
    actual, error = np.full(outcomes, 5.0), random.normal(0, 1, outcomes)
    other = ratio * error + random.normal(0, 0.05, outcomes)
    return Pairs(np.arange(outcomes) % 20, np.arange(outcomes) * 10**9, actual, 5 + error, 5 + other)


def look(found: Pairs, *, taken: int = 0, over: bool = False) -> Finding:
    return judge_trial(found, minimum=MINIMUM, looks_taken=taken, time_is_over=over, seed=1)


@pytest.mark.parametrize(
    ("outcomes", "ratio", "taken", "over", "decision", "look_number"),
    [
        (0, 1.0, 0, False, CONTINUE, 0),
        (0, 1.0, 0, True, RETIRE, 0),
        (99, 0.5, 0, False, CONTINUE, 0),
        (99, 0.5, 0, True, RETIRE, 0),
        (100, 0.5, 0, False, PROMOTE, 1),
        (100, 2.0, 0, False, RETIRE, 1),
        (150, 0.5, 1, False, CONTINUE, 1),
        (150, 2.0, 1, False, CONTINUE, 1),
        (150, 0.5, 1, True, PROMOTE, 1),
        (200, 0.5, 1, False, PROMOTE, 2),
        (400, 0.5, 0, False, PROMOTE, 3),
        (400, 1.2, 2, False, RETIRE, 3),
    ],
)
def test_what_a_night_decides(
    outcomes: int, ratio: float, taken: int, over: bool, decision: str, look_number: int
) -> None:
    found = look(pairs(outcomes, ratio), taken=taken, over=over)
    assert (found.decision, found.look, found.outcomes) == (decision, look_number, outcomes)
    assert found.reason


def test_an_early_look_asks_for_more_than_the_last_one() -> None:
    same = pairs(400, 1.0)
    equal = Pairs(same.student_id, same.session_date, same.actual, same.champion, same.champion)
    early = Pairs(*(each[:100] for each in vars(equal).values()))
    assert look(early).decision == CONTINUE
    assert look(equal, taken=2).decision == PROMOTE


def test_the_figures_are_those_of_the_pairs() -> None:
    found = look(pairs(100, 2.0))
    assert found.champion_mae is not None
    assert found.challenger_mae == pytest.approx(found.champion_mae * (found.ratio or 0))
    assert found.lower_bound is not None
    assert found.upper_bound is not None
    assert found.lower_bound < (found.ratio or 0) < found.upper_bound
    assert found.students == 20
