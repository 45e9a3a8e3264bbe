"""The sentence about what moved: what it quotes, and where numbers moved whose median stayed."""

import numpy as np
import pytest

from studyml.monitoring.drift import compare
from tests.monitoring.samples import sample
from tests.monitoring.test_drift import ROWS, changed, named, reference


@pytest.mark.parametrize(("rows", "quoted"), [(19, False), (20, True)])
def test_a_level_is_quoted_where_training_had_twenty_rows_of_it(rows: int, quoted: bool) -> None:
    before = changed(sample(ROWS, 1), "study_method", lambda codes: np.where(codes == 3, 0, codes))
    before = changed(before, "study_method", lambda codes: np.where(np.arange(ROWS) < rows, 3, codes))
    now = changed(sample(600, 2), "study_method", lambda codes: np.where(np.arange(600) % 3 == 0, 3, codes))

    assert ("'d'" in named(compare(reference(before), now), "study_method").sentence) == quoted


def test_the_level_is_told_whose_share_changed_the_most_also_where_it_fell() -> None:
    before = changed(sample(ROWS, 1), "study_method", lambda codes: np.repeat([0, 1, 2, 3], [800, 600, 400, 200]))
    now = changed(sample(600, 2), "study_method", lambda codes: np.repeat([0, 1, 2, 3], [60, 240, 180, 120]))

    assert named(compare(reference(before), now), "study_method").sentence == "study_method: 'a' 40 % -> 10 %"


@pytest.mark.parametrize(
    ("share", "value", "words"),
    [
        (0.15, 1, "lowest tenth up to 1 -> 3"),
        (0.3, 1, "lowest tenth up to 1 -> 3"),
        (0.15, 5, "nine tenths up to 5 -> 3"),
        (0.3, 5, "three quarters up to 5 -> 3"),
    ],
)
def test_numbers_that_moved_beside_their_median_are_told_by_where_they_moved(
    share: float, value: float, words: str
) -> None:
    frame = sample(ROWS, 1)
    before = changed(frame, "energy_level", lambda _: np.where(np.arange(ROWS) < share * ROWS, value, 3.0))
    now = changed(frame, "energy_level", lambda _: np.full(ROWS, 3.0))

    assert named(compare(reference(before), now), "energy_level").sentence == f"energy_level: {words}"
