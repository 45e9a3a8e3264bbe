"""Factors: parts of a feature that no row is in twice, zero where nothing is known, the same alone as among others."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given

from studyml.features.definition import FEATURES
from studyml.features.encoder import Encoder, fit_encoder
from studyml.features.factors import BANDS, Factor, factors_together, fit_factors
from studyml.frame import Frame
from tests.features.frames import any_rows, frame_of


def numbers(values: list[float | None]) -> Frame:
    return frame_of([{"age": value} for value in values])


def subjects(**counts: int) -> Frame:
    return frame_of([{"subject": name} for name, count in counts.items() for _ in range(count)])


@given(any_rows(2), any_rows())
def test_a_row_is_in_one_part_of_a_feature_at_most_and_every_factor_is_finite(
    fitted_on: list[dict[str, object]], applied_to: list[dict[str, object]]
) -> None:
    for feature in set(FEATURES) - {"breaks_taken"}:
        factors = fit_factors(frame_of(fitted_on), feature)
        frame = frame_of(applied_to)
        inside = np.array([each.values(frame) for each in factors.parts]).reshape(-1, len(frame))
        assert set(np.unique(inside)) <= {0.0, 1.0}
        assert (inside.sum(axis=0) <= 1).all()
        assert (factors.part_of(frame) == [row.argmax() + 1 if row.any() else 0 for row in inside.T]).all()
        if factors.number is not None:
            assert np.isfinite(factors.number.values(frame)).all()


def test_few_distinct_numbers_have_a_band_each() -> None:
    frame = numbers([1.0, 2.0, 2.0, 5.0])
    factors = fit_factors(frame, "age")

    assert factors.part_of(frame).tolist() == [1, 2, 2, 3]
    assert [each.name for each in factors.parts] == ["age<=1.5", "1.5<age<=3.5", "3.5<age"]
    assert factors.number is not None
    assert factors.number.values(frame).tolist() == [-1.5, -0.5, -0.5, 2.5]


def test_many_distinct_numbers_have_bands_of_about_as_many_rows() -> None:
    frame = numbers(np.random.default_rng(0).lognormal(3, 1, 500).tolist())
    parts = fit_factors(frame, "age").part_of(frame)

    assert np.bincount(parts)[1:] == pytest.approx(np.full(BANDS, 500 / BANDS), abs=1)


def test_a_number_that_hardly_differs_has_no_empty_band() -> None:
    frame = numbers([3.0] * 400 + [1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    parts = fit_factors(frame, "age").part_of(frame)

    assert (np.bincount(parts)[1:] > 0).all()


@pytest.mark.parametrize("values", [[2.0, 2.0], [None, None], [2.0, None], [math.inf, 2.0], [1e300, 2.0]])
def test_a_number_that_does_not_differ_has_no_factors(values: list[float | None]) -> None:
    factors = fit_factors(numbers(values), "age")

    assert (factors.parts, factors.number) == ((), None)


def test_a_level_needs_enough_rows() -> None:
    factors = fit_factors(subjects(Physics=20, Chemistry=10, History=9), "subject")

    assert [each.name for each in factors.parts] == ["subject=Chemistry", "subject=Physics"]
    assert factors.number is None


@pytest.mark.parametrize("value", [None, "?unseen", "History"])
def test_a_word_that_is_missing_unseen_or_rare_is_in_no_part(value: str | None) -> None:
    factors = fit_factors(subjects(Physics=20, Chemistry=10, History=9), "subject")

    assert factors.part_of(frame_of([{"subject": value}])).tolist() == [0]


@pytest.mark.parametrize("value", [None, math.inf, -1e300])
def test_a_number_that_is_missing_counts_as_ordinary(value: float | None) -> None:
    number = Factor("age", centre=20.0)

    assert number.values(numbers([value, 23.0])).tolist() == [0.0, 3.0]


def test_two_features_have_every_two_parts_and_two_numbers_their_product() -> None:
    frame = frame_of(
        [{"age": 20 + row % 2, "energy_level": 1 + row % 3, "subject": "ab"[row % 2]} for row in range(40)]
    )
    age, energy, subject = (fit_factors(frame, name) for name in ("age", "energy_level", "subject"))

    assert len(list(factors_together(age, energy))) == 2 * 3 + 1
    assert len(list(factors_together(age, subject))) == 2 * 2


def encoder_with_products(frame: Frame, *pair: str) -> Encoder:
    first, second = (fit_factors(frame, name) for name in pair)
    return fit_encoder(frame, FEATURES).with_products(frame, factors_together(first, second))


@given(any_rows(12), any_rows())
def test_products_are_finite_survive_json_and_are_the_same_alone(
    fitted_on: list[dict[str, object]], applied_to: list[dict[str, object]]
) -> None:
    encoder = encoder_with_products(frame_of(fitted_on), "age", "energy_level")
    frame = frame_of(applied_to)
    matrix = encoder.encode(frame)

    assert np.isfinite(matrix).all()
    assert Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False))) == encoder
    assert (encoder.encode(frame.take(np.array([0])))[0] == matrix[0]).all()


def test_a_product_is_an_input_of_both_features_with_a_name_of_its_own() -> None:
    frame = frame_of([{"age": 20 + row % 2, "subject": "ab"[row // 2 % 2]} for row in range(80)])
    encoder = encoder_with_products(frame, "age", "subject")

    (first, *_) = products = [each for each in encoder.inputs if each.kind == "product"]
    assert first.name == "age<=20.5 x subject=a"
    assert first.features == ("age", "subject")
    assert len({each.name for each in encoder.inputs}) == len(encoder.inputs)
    last = encoder.encode(frame)[:, -len(products) :]
    assert (last > 0).sum(axis=1).tolist() == [1] * 80, "each row is in one cell"


def test_a_product_that_hardly_a_row_has_is_no_input() -> None:
    rare = [{"age": 30, "subject": "b"}] * 9
    frame = frame_of([{"age": 20, "subject": "a"}] * 40 + [{"age": 20, "subject": "b"}] * 40 + rare)

    names = [each.name for each in encoder_with_products(frame, "age", "subject").inputs if each.factors]

    assert names == ["age<=25 x subject=a", "age<=25 x subject=b"]


def test_a_feature_that_is_left_in_a_product_only_is_not_gone() -> None:
    frame = frame_of([{"age": 20 + row % 2, "subject": "ab"[row // 2 % 2]} for row in range(80)])
    encoder = encoder_with_products(frame, "age", "subject")

    kept = encoder.keep([len(encoder.inputs) - 1], "of no use")

    assert kept.features == {"age", "subject"}
    assert not {"age", "subject"} & set(kept.dropped)


def test_an_encoder_of_a_version_before_products_can_be_read() -> None:
    stored = fit_encoder(frame_of([{"age": 20 + row % 2} for row in range(20)])).to_json()
    without = [{name: value for name, value in each.items() if name != "factors"} for each in stored["inputs"]]

    assert Encoder.from_json({**stored, "inputs": without}).to_json() == stored


def test_a_factor_is_plain_json() -> None:
    assert json.loads(json.dumps(asdict(Factor("age", above=1.0)))) == asdict(Factor("age", above=1.0))
