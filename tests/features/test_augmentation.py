"""Augmentation: as many copies as were asked for, each of a real row, with the guide's noise and nothing else."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.features.augmentation import augment
from studyml.features.definition import DERIVED, derive
from tests.features.frames import simulated_log

FRAME = simulated_log(sessions=120)
LABEL = "actual_duration"
NOISY = {LABEL, "energy_level", "distraction_level", *DERIVED}


@given(st.floats(0, 4), st.integers(0, 100))
def test_the_number_of_copies_grows_with_the_rows_and_not_with_their_square(factor: float, seed: int) -> None:
    copies, origin = augment(FRAME, LABEL, factor, seed=seed)

    assert len(copies) == len(origin) == round(factor * len(FRAME))
    drawn = np.bincount(origin, minlength=len(FRAME))
    assert drawn.max(initial=0) - drawn.min(initial=9) <= 1, "every row is copied as often as every other"


@given(st.integers(0, 100))
def test_a_copy_differs_from_its_row_in_the_label_and_the_two_scales_only(seed: int) -> None:
    copies, origin = augment(FRAME, LABEL, 1.5, seed=seed)
    source = FRAME.take(origin)

    for name in source.columns:
        if name not in NOISY:
            assert np.array_equal(copies[name], source[name], equal_nan=True), name
    assert copies.vocabularies == source.vocabularies


def test_the_noise_is_the_guides() -> None:
    copies, origin = augment(FRAME, LABEL, 100.0, seed=1)
    source = FRAME.take(origin)
    ratio = copies[LABEL].astype(float) / source[LABEL].astype(float)

    assert ratio.mean() == pytest.approx(1, abs=0.005)
    assert ratio.std() == pytest.approx(0.1, rel=0.05)
    assert ratio.min() > 0
    for name in ("energy_level", "distraction_level"):
        assert ((copies[name] >= 1) & (copies[name] <= 5)).all()
        inner = source[name] == 3
        step = copies[name].astype(float)[inner] - 3
        assert step.std() == pytest.approx(0.5, rel=0.05)


def test_what_is_derived_from_the_scales_is_derived_again() -> None:
    copies, _ = augment(FRAME, LABEL, 1.0, seed=1)
    again = derive(copies)

    for name in DERIVED:
        assert np.array_equal(copies[name], again[name], equal_nan=True)


def test_one_seed_gives_the_same_copies_and_another_others() -> None:
    first, again, other = (augment(FRAME, LABEL, 1.0, seed=seed)[0] for seed in (1, 1, 2))

    assert np.array_equal(first[LABEL], again[LABEL])
    assert not np.array_equal(np.sort(first[LABEL].astype(float)), np.sort(other[LABEL].astype(float)))


def test_the_rows_themselves_are_left_alone() -> None:
    frame = simulated_log(sessions=50)
    before = {name: values.copy() for name, values in frame.columns.items()}

    augment(frame, LABEL, 2.0, seed=1)

    assert all(np.array_equal(before[name], frame[name], equal_nan=True) for name in before)


def test_many_rows_take_no_longer_than_their_number() -> None:
    many = FRAME.take(np.arange(100_000) % len(FRAME))
    started = time.monotonic()

    copies, _ = augment(many, LABEL, 1.0, seed=1)

    assert len(copies) == 100_000
    assert time.monotonic() - started < 5, "the guide's loop would make ten thousand million copies"
