"""The encoder: one definition for training and scoring, always finite, independent of how rows arrive."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studyml.features.definition import FEATURES
from studyml.features.encoder import CLIP, MAXIMUM_LEVELS, MINIMUM_LEVEL_ROWS, Encoder, fit_encoder
from studyml.frame import Frame
from tests.features.frames import any_rows, frame_of, simulated_log


def varied(rows: int = 40) -> Frame:
    """Rows in which every number varies and every word has two frequent levels."""
    return frame_of(
        [
            {
                "age": 18 + row % 17,
                "avg_focus_duration": 30 + row,
                "difficulty_level": 1 + row % 10,
                "subject": "Physics" if row % 2 else "History",
                "time_of_day": "morning" if row % 2 else "night",
            }
            for row in range(rows)
        ]
    )


def column(encoder: Encoder, frame: Frame, name: str) -> np.ndarray:
    return encoder.encode(frame)[:, [each.name for each in encoder.inputs].index(name)]


@given(any_rows(2), any_rows())
def test_the_input_is_finite_whatever_the_rows_hold(
    fitted_on: list[dict[str, object]], applied_to: list[dict[str, object]]
) -> None:
    encoder = fit_encoder(frame_of(fitted_on))

    for rows in (fitted_on, applied_to):
        matrix = encoder.encode(frame_of(rows))
        assert matrix.dtype == np.float32
        assert np.isfinite(matrix).all()
        assert (np.abs(matrix) <= CLIP).all()


@given(any_rows(2), st.data())
def test_a_row_is_encoded_the_same_alone_as_among_others(rows: list[dict[str, object]], data: st.DataObject) -> None:
    frame = frame_of(rows)
    encoder = fit_encoder(frame)
    row = data.draw(st.integers(0, len(rows) - 1))

    alone = encoder.encode(frame.take(np.array([row])))

    assert (alone[0] == encoder.encode(frame)[row]).all()


@given(any_rows(2))
def test_an_encoder_stored_as_json_encodes_the_same(rows: list[dict[str, object]]) -> None:
    frame = frame_of(rows)
    encoder = fit_encoder(frame)

    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))

    assert again == encoder
    assert (again.encode(frame) == encoder.encode(frame)).all()


def reordered(frame: Frame) -> Frame:
    """The same rows under vocabularies in reversed order, with a level more that no row has."""
    columns = {}
    for name, levels in frame.vocabularies.items():
        codes = frame[name].astype(np.int64)
        columns[name] = np.where(codes >= 0, len(levels) - 1 - codes, codes).astype(np.int32)
    vocabularies = {name: (*reversed(levels), "of no row") for name, levels in frame.vocabularies.items()}
    return Frame({**frame.columns, **columns}, vocabularies)


@given(any_rows(2))
def test_the_order_of_a_vocabulary_changes_nothing(rows: list[dict[str, object]]) -> None:
    frame = frame_of(rows)

    assert fit_encoder(reordered(frame)) == fit_encoder(frame)
    assert (fit_encoder(frame).encode(reordered(frame)) == fit_encoder(frame).encode(frame)).all()


def test_levels_that_are_equally_frequent_come_in_order_of_name_under_any_vocabulary() -> None:
    frame = varied()

    subjects = [each.level for each in fit_encoder(frame).inputs if each.feature == "subject"]

    assert subjects == ["History", "Physics"]
    assert fit_encoder(reordered(frame)) == fit_encoder(frame)


def test_breaks_taken_never_reaches_the_network_and_the_reason_is_said() -> None:
    frame = simulated_log()
    encoder = fit_encoder(frame)

    assert encoder.dropped["breaks_taken"] == "never known before a session"
    assert "breaks_taken" not in {each.feature for each in encoder.inputs}
    with_breaks = frame.with_columns(breaks_taken=np.arange(len(frame), dtype=np.float64))
    assert (encoder.encode(with_breaks) == encoder.encode(frame)).all()


def test_every_feature_of_the_guide_is_an_input_or_is_dropped_with_a_reason() -> None:
    encoder = fit_encoder(simulated_log())

    assert set(FEATURES) <= {each.feature for each in encoder.inputs} | set(encoder.dropped)
    assert set(encoder.dropped) == {"breaks_taken"}


def test_a_missing_number_becomes_the_training_median_and_is_flagged() -> None:
    frame = frame_of([{"age": age} for age in (20, 22, None, 30)])
    encoder = fit_encoder(frame)
    probe = frame_of([{"age": None}, {"age": 22}])

    assert column(encoder, probe, "age")[0] == column(encoder, probe, "age")[1]
    assert column(encoder, probe, "age=missing")[0] > column(encoder, probe, "age=missing")[1]


def test_a_number_missing_for_the_first_time_when_scored_becomes_the_median_and_adds_no_input() -> None:
    encoder = fit_encoder(varied())
    probe = frame_of([{"age": None}])

    assert "age=missing" not in [each.name for each in encoder.inputs]
    assert np.isfinite(encoder.encode(probe)).all()


@pytest.mark.parametrize("value", [None, "?unseen", "Biology"])
def test_a_missing_and_an_unseen_category_and_a_rare_one_are_all_zeros_before_standardising(value: str | None) -> None:
    frame = frame_of([{"subject": "Physics" if row % 2 else "History"} for row in range(40)] + [{"subject": "Biology"}])
    encoder = fit_encoder(frame)
    raw = {each.level: -each.mean / each.scale for each in encoder.inputs if each.feature == "subject"}
    probe = frame_of([{"subject": value}])

    assert set(raw) == {"Physics", "History"}
    for level, zero in raw.items():
        assert column(encoder, probe, f"subject={level}")[0] == pytest.approx(zero, rel=1e-6)


def test_a_level_needs_ten_rows_and_in_a_long_log_half_a_percent() -> None:
    few = [{"subject": "rare"}] * (MINIMUM_LEVEL_ROWS - 1) + [{"subject": "enough"}] * MINIMUM_LEVEL_ROWS + [{}] * 50
    many = [{"subject": "rare"}] * 19 + [{"subject": "enough"}] * 20 + [{}] * 3961

    for rows in (few, many):
        levels = {each.level for each in fit_encoder(frame_of(rows)).inputs if each.feature == "subject"}
        assert levels == {"enough", "Physics"}


def test_a_feature_keeps_at_most_so_many_levels_and_they_are_the_most_frequent() -> None:
    rows = [{"subject": f"s{level:02}"} for level in range(40) for _ in range(10 + level)]

    levels = [each.level for each in fit_encoder(frame_of(rows)).inputs if each.feature == "subject"]

    assert levels == [f"s{level:02}" for level in range(39, 39 - MAXIMUM_LEVELS, -1)]


def test_constant_and_empty_columns_are_dropped_with_their_reason() -> None:
    frame = frame_of([{"age": 20 + row, "energy_level": None, "learning_style": None} for row in range(30)])

    dropped = fit_encoder(frame).dropped

    assert dropped["energy_level"] == "empty or constant in training"
    assert dropped["prerequisites_count"] == "empty or constant in training"
    assert dropped["learning_style"] == dropped["subject"] == "no level is frequent enough, or there is only one"
    assert "age" not in dropped


def test_inputs_are_standardised_as_the_guide_scales_them() -> None:
    frame = simulated_log()
    wide = replace(fit_encoder(frame), clip=1e9)

    matrix = wide.encode(frame).astype(np.float64)

    assert matrix.mean(axis=0) == pytest.approx(np.zeros(matrix.shape[1]), abs=1e-5)
    assert matrix.std(axis=0) == pytest.approx(np.ones(matrix.shape[1]), abs=1e-4)


def test_names_of_inputs_are_unique() -> None:
    names = [each.name for each in fit_encoder(simulated_log()).inputs]

    assert len(names) == len(set(names))


def test_one_giant_among_ordinary_values_does_not_make_the_scale_infinite() -> None:
    frame = frame_of([{"age": 20 + row % 5} for row in range(30)] + [{"age": 1e300}])

    age = next(each for each in fit_encoder(frame).inputs if each.name == "age")

    assert age.mean == pytest.approx(22, abs=0.5)
    assert 1 < age.scale < 2


@pytest.mark.parametrize("damage", ["inputs", "dropped", "categories", "clip"])
def test_a_document_that_is_no_encoder_is_refused(damage: str) -> None:
    stored = fit_encoder(varied()).to_json()
    del stored[damage]

    with pytest.raises(KeyError):
        Encoder.from_json(stored)


def test_the_logarithm_of_a_length_is_an_input_beside_it_where_a_recipe_wants_it() -> None:
    frame = frame_of([{"avg_focus_duration": 10.0 * (1 + row % 7), "age": 20 + row % 3} for row in range(40)])
    encoder = fit_encoder(frame, logs=("avg_focus_duration", "estimated_base_time"))

    names = [each.name for each in encoder.inputs]
    assert names.index("log(avg_focus_duration)") == names.index("avg_focus_duration") + 1
    assert "log(estimated_base_time)" not in names, "it is constant"
    assert "log(age)" not in names
    found = next(each for each in encoder.inputs if each.kind == "log")
    logs = np.log(frame["avg_focus_duration"].astype(float))
    assert column(encoder, frame, found.name) == pytest.approx((logs - logs.mean()) / logs.std(), abs=1e-5)


@pytest.mark.parametrize("value", [None, 0.0, -3.0, float("inf"), 1e300])
def test_a_length_without_a_logarithm_is_the_median_ones(value: float | None) -> None:
    frame = frame_of([{"avg_focus_duration": 10.0 * (1 + row % 7)} for row in range(35)])
    encoder = fit_encoder(frame, logs=("avg_focus_duration",))

    name = "log(avg_focus_duration)"
    strange, middle = (frame_of([{"avg_focus_duration": each}]) for each in (value, 40.0))
    assert column(encoder, strange, name) == pytest.approx(column(encoder, middle, name), abs=1e-6)


@given(any_rows(2), any_rows())
def test_with_logs_and_what_is_always_kept_inputs_are_finite_and_survive_json(
    fitted_on: list[dict[str, object]], applied_to: list[dict[str, object]]
) -> None:
    always = ("energy_level", "prerequisites_count")
    others = tuple(name for name in FEATURES if name not in always)
    encoder = fit_encoder(frame_of(fitted_on), others, logs=("avg_focus_duration", "age"), always=always)

    kinds = {(each.feature, each.kind) for each in encoder.inputs}
    assert {(name, kind) for name in always for kind in ("number", "missing")} <= kinds
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    for rows in (fitted_on, applied_to):
        matrix = again.encode(frame_of(rows))
        assert np.isfinite(matrix).all()
        assert (matrix == encoder.encode(frame_of(rows))).all()


def test_what_is_always_kept_has_its_place_first_and_says_where_it_is_missing() -> None:
    frame = frame_of([{"energy_level": None, "age": 20 + row % 4} for row in range(30)])
    encoder = fit_encoder(frame, ("age",), always=("energy_level",))

    assert [each.name for each in encoder.inputs] == ["energy_level", "energy_level=missing", "age"]
    assert encoder.dropped == {}
    empty, known = (encoder.encode(frame_of([{"energy_level": each}])) for each in (None, 4.0))
    assert empty[0, :2].tolist() == [0.0, 0.0], "as in training"
    assert known[0, :2].tolist() == [4.0, -1.0]


def test_keeping_some_inputs_encodes_these_alone_and_says_why_features_are_gone() -> None:
    encoder = fit_encoder(varied(), logs=("age",))
    names = [each.name for each in encoder.inputs]
    positions = [names.index(name) for name in ("log(age)", "subject=Physics")]

    kept = encoder.keep([*reversed(positions)], "of no use")

    assert [each.name for each in kept.inputs] == [names[position] for position in sorted(positions)]
    assert (kept.encode(varied()) == encoder.encode(varied())[:, sorted(positions)]).all()
    assert kept.dropped["avg_focus_duration"] == "of no use"
    assert not {"age", "subject"} & set(kept.dropped), "an input of theirs is left"
    assert kept.dropped["breaks_taken"] == encoder.dropped["breaks_taken"], "it was gone before"
    assert kept.categories == encoder.categories, "an unseen level is still known as one"
    assert Encoder.from_json(json.loads(json.dumps(kept.to_json()))) == kept
