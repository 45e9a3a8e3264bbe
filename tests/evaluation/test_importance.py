"""Importance of features: against what is known of simple functions, and against scikit-learn and shap's own rules."""

import json
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from studyml.evaluation import importance as module
from studyml.evaluation.importance import (
    OF_MANY,
    OF_ONE,
    Effort,
    Predict,
    first_layer_importance,
    importance,
    permutation_importance,
    shap_values,
)
from studyml.frame import MISSING, UNSEEN, Frame

Floats = NDArray[np.float64]
GROUPS = {"a": ("a",), "b": ("b",), "c": ("c",)}


def numbers(rows: int, seed: int = 0, names: str = "abc") -> Frame:
    generator = np.random.default_rng(seed)
    return Frame({name: generator.normal(size=rows) for name in names}, {})


def linear(frame: Frame) -> Floats:
    return 3 + 2 * frame["a"].astype(float) - frame["b"].astype(float)


def interacting(frame: Frame) -> Floats:
    a, b, c = (frame[name].astype(float) for name in "abc")
    return np.clip(np.exp(a) * (1 + b) + np.sin(c * a), 0.1, 24)


def measured(found: list[dict[str, object]]) -> dict[str, tuple[float, float]]:
    return {str(each["feature"]): (float(str(each["mean"])), float(str(each["std"]))) for each in found}


class TestPermutation:
    def test_is_what_scikit_learn_measures_on_the_columns_themselves(self) -> None:
        from sklearn import inspection
        from sklearn.ensemble import RandomForestRegressor

        frame = numbers(80)
        matrix = np.column_stack([frame[name] for name in "abc"])
        actual = interacting(frame)
        forest = RandomForestRegressor(5, random_state=0).fit(matrix[:40], actual[:40])

        found = permutation_importance(
            lambda rows: forest.predict(np.column_stack([rows[name] for name in "abc"])), frame, actual, GROUPS
        )

        expected = inspection.permutation_importance(
            forest, matrix, actual, n_repeats=10, random_state=42, scoring="neg_mean_absolute_error"
        )
        means, stds = (np.array([pair[at] for pair in measured(found).values()]) for at in (0, 1))
        assert means == pytest.approx(expected.importances_mean)
        assert stds == pytest.approx(expected.importances_std)

    def test_a_feature_that_changes_nothing_has_none(self) -> None:
        frame = numbers(50)
        found = measured(permutation_importance(linear, frame, linear(frame), GROUPS))
        assert found["c"] == (0, 0)
        assert found["a"][0] > found["b"][0] > 0

    def test_columns_of_one_group_move_together(self) -> None:
        """Two columns that cancel out are worth nothing together, and much one by one."""
        frame = numbers(50)
        twins = frame.with_columns(b=frame["a"])

        def difference(rows: Frame) -> Floats:
            return 5 + rows["a"].astype(float) - rows["b"].astype(float)

        actual = difference(twins)
        assert measured(permutation_importance(difference, twins, actual, {"both": ("a", "b")})) == {"both": (0, 0)}
        apart = measured(permutation_importance(difference, twins, actual, {"a": ("a",), "b": ("b",)}))
        assert min(mean for mean, _ in apart.values()) > 0.5

    def test_missing_values_are_shuffled_like_others(self) -> None:
        values = np.where(np.arange(60) % 2 == 0, np.nan, 1.0)
        frame = Frame({"a": values}, {})

        def known(rows: Frame) -> Floats:
            return np.where(np.isnan(rows["a"].astype(float)), 1.0, 2.0)

        [(mean, _)] = measured(permutation_importance(known, frame, known(frame), {"a": ("a",)})).values()
        assert mean == pytest.approx(0.5, abs=0.1)  # half of the rows get the other value

    def test_without_any_feature_there_is_nothing_to_permute(self) -> None:
        assert permutation_importance(linear, numbers(5), np.zeros(5), {}) == []


class TestShap:
    @hypothesis_settings(max_examples=15)
    @given(
        rows=st.integers(1, 12),
        background=st.integers(1, 130),
        seed=st.integers(0, 1000),
        effort=st.sampled_from([OF_MANY, OF_ONE]),
    )
    def test_base_and_values_sum_to_the_prediction(self, rows: int, background: int, seed: int, effort: Effort) -> None:
        explained = numbers(rows, seed)
        found = shap_values(interacting, explained, numbers(background, seed + 1), GROUPS, effort)
        assert found.values.shape == (rows, 3)
        assert found.base_hours + found.values.sum(axis=1) == pytest.approx(interacting(explained), abs=1e-9)

    def test_of_a_sum_each_term_gets_its_own_distance_from_the_mean(self) -> None:
        explained, background = numbers(7), numbers(40, 1)
        found = shap_values(linear, explained, background, GROUPS, OF_MANY)
        means = {name: background[name].astype(float).mean() for name in "abc"}
        expected = [2 * (explained["a"] - means["a"]), -(explained["b"] - means["b"]), np.zeros(7)]
        assert found.values == pytest.approx(np.column_stack(expected))
        assert found.base_hours == pytest.approx(linear(background).mean())

    def test_of_a_product_both_factors_share_the_interaction_equally(self) -> None:
        """The definition over all orders of two features, which one pair of orders computes exactly."""
        explained, background = numbers(5), numbers(30, 1)

        def product(rows: Frame) -> Floats:
            return rows["a"].astype(float) * rows["b"].astype(float)

        found = shap_values(product, explained, background, {"a": ("a",), "b": ("b",)}, OF_MANY)
        xa, xb, za, zb = (each.astype(float) for rows in (explained, background) for each in (rows["a"], rows["b"]))
        base, only_a, only_b = (za * zb).mean(), xa * zb.mean(), xb * za.mean()
        assert found.values[:, 0] == pytest.approx((only_a - base + xa * xb - only_b) / 2)

    def test_more_orders_come_closer_to_the_definition(self) -> None:
        explained, background = numbers(20), numbers(20, 1)
        exact = shap_values(interacting, explained, background, GROUPS, Effort(100, 400)).values
        errors = [
            np.abs(shap_values(interacting, explained, background, GROUPS, Effort(100, orders)).values - exact).mean()
            for orders in (1, 10)
        ]
        assert errors[1] < errors[0] / 2

    def test_a_background_with_other_vocabularies_is_read_by_its_levels(self) -> None:
        mathematics, physics = 1.0, 3.0

        def hours(rows: Frame) -> Floats:
            levels = np.array([*({"m": mathematics, "p": physics}[x] for x in rows.vocabularies["s"]), 7.0, 9.0])
            return levels[rows["s"].astype(int)]  # unseen 7 hours, missing 9

        explained = Frame({"s": np.array([0, 1, MISSING, UNSEEN], np.int32)}, {"s": ("m", "p")})
        background = Frame({"s": np.array([0, 1, 2, MISSING, UNSEEN], np.int32)}, {"s": ("p", "m", "other")})
        found = shap_values(hours, explained, background, {"s": ("s",)}, OF_MANY)
        assert found.base_hours == pytest.approx((physics + mathematics + 7 + 9 + 7) / 5)
        assert found.base_hours + found.values[:, 0] == pytest.approx([1, 3, 9, 7])

    def test_without_any_feature_the_base_is_the_prediction(self) -> None:
        found = shap_values(lambda rows: np.full(len(rows), 2.5), numbers(3), numbers(4), {}, OF_ONE)
        assert (found.base_hours, found.values.shape) == (2.5, (3, 0))

    def test_neither_the_random_state_nor_the_compiler_of_others_is_changed(self) -> None:
        numba = pytest.importorskip("numba")  # newer versions of shap do without
        np.random.seed(7)
        expected = np.random.random(3)
        np.random.seed(7)
        shap_values(linear, numbers(3), numbers(4), GROUPS, OF_MANY)
        assert np.random.random(3) == pytest.approx(expected)
        assert not numba.config.DISABLE_JIT


class TestDocument:
    @staticmethod
    def document(predict: Predict = linear, rows: int = 40) -> dict[str, object]:
        judged = numbers(rows)
        return importance(predict, judged, linear(judged) + 0.5, numbers(30, 1), GROUPS, {"a": 0.1, "b": 0.4})

    def test_is_json_and_the_same_every_time(self) -> None:
        first = self.document()
        assert json.loads(json.dumps(first, allow_nan=False)) == first == self.document()

    def test_lists_the_most_important_first(self) -> None:
        document = self.document()
        for measure, key in (("permutation", "mean"), ("shap", "mean_absolute"), ("weights", "value")):
            found = document[measure]
            assert isinstance(found, list)
            assert all(first[key] >= second[key] for first, second in pairwise(found))
        assert [each["feature"] for each in document["shap"]] == ["a", "b", "c"]  # type: ignore[attr-defined]
        assert document["mae"] == pytest.approx(0.5)

    def test_a_large_holdout_costs_no_more_than_its_sample(self) -> None:
        predicted = []

        def counting(rows: Frame) -> Floats:
            predicted.append(len(rows))
            return linear(rows)

        document = self.document(counting, rows=50_000)
        permuted = (1 + 3 * module.REPEATS) * module.PERMUTED_ROWS
        explained = module.EXPLAINED_ROWS * OF_MANY.background_rows * (2 * 3 + 1)
        assert sum(predicted) <= 50_000 + permuted + explained
        assert (document["rows"], document["permuted_rows"]) == (50_000, module.PERMUTED_ROWS)


class TestFirstLayer:
    def test_is_the_guides_mean_over_the_units(self) -> None:
        kernel = np.random.default_rng(0).normal(size=(3, 128))
        found = first_layer_importance(kernel, "abc")  # type: ignore[arg-type]
        assert list(found.values()) == pytest.approx(np.abs(kernel).mean(axis=1))
        assert list(found) == ["a", "b", "c"]

    def test_of_an_ensemble_is_the_mean_over_its_members(self) -> None:
        kernels = np.random.default_rng(0).normal(size=(5, 3, 8))
        single = [first_layer_importance(each, ("a", "b", "c")) for each in kernels]
        found = first_layer_importance(kernels, ("a", "b", "c"))
        assert found == pytest.approx({name: np.mean([each[name] for each in single]) for name in "abc"})

    @pytest.mark.parametrize("shape", [(3,), (2, 8), (8, 3)])
    def test_a_kernel_of_other_inputs_is_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="3 inputs"):
            first_layer_importance(np.zeros(shape), ("a", "b", "c"))


@pytest.mark.parametrize("predict", [linear, interacting])
def test_what_is_permuted_and_explained_agree_on_what_is_not_used(predict: Callable[[Frame], Floats]) -> None:
    judged = numbers(30, names="abcd")
    document = importance(predict, judged, predict(judged), numbers(30, 1, "abcd"), GROUPS | {"d": ("d",)})
    assert measured(document["permutation"])["d"] == (0, 0)
    assert {each["feature"]: each["mean_absolute"] for each in document["shap"]}["d"] == pytest.approx(0, abs=1e-12)
