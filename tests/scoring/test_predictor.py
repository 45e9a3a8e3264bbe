"""From a network's output to hours and an interval."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from studyml.errors import ArtifactError
from studyml.scoring.predictor import BLOCK_ROWS, Output, open_network, predict, run_network


class Echo:
    """A network whose output is its first input; it remembers how many rows it was given at a time."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def get_inputs(self) -> list[Any]:
        return [type("Input", (), {"name": "x"})]

    def run(self, _: None, feed: dict[str, Any]) -> list[Any]:
        self.rows.append(len(feed["x"]))
        return [feed["x"][:, :1]]


def column(values: Any) -> Any:
    return np.asarray(values, np.float32).reshape(-1, 1)


@given(
    raw=arrays(np.float32, st.integers(0, 30), elements=st.floats(-1e6, 1e6, width=32)),
    ratios=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)),
)
def test_hours_lie_between_six_minutes_and_a_day_inside_their_interval(raw: Any, ratios: tuple[float, float]) -> None:
    found = predict(Echo(), column(raw), Output(min(ratios), max(ratios)))

    assert found.lower is not None
    assert found.upper is not None
    assert ((found.hours >= 0.1) & (found.hours <= 24)).all()
    assert ((found.lower >= 0.1) & (found.lower <= found.hours)).all()
    assert ((found.hours <= found.upper) & (found.upper <= 24)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_a_number_stops_the_scoring(value: float) -> None:
    with pytest.raises(ArtifactError, match="the network returned 1 predictions that are not numbers"):
        predict(Echo(), column([1.0, value]), Output(None, None))


def test_a_version_without_labels_has_no_interval() -> None:
    found = predict(Echo(), column([2.0]), Output(None, None))

    assert found.hours.tolist() == [2.0]
    assert (found.lower, found.upper) == (None, None)


def test_output_rules_survive_json() -> None:
    stored = {"lower_ratio": 0.5, "upper_ratio": 2.0, "coverage": 0.8, "minimum_hours": 0.1, "maximum_hours": 24.0}

    assert Output.from_json(stored) == Output(0.5, 2.0)


@pytest.mark.parametrize("rows", [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1])
def test_a_network_runs_in_blocks(rows: int) -> None:
    network = Echo()

    found = run_network(network, column(np.arange(rows)))

    assert found.tolist() == list(range(rows))
    assert all(each <= BLOCK_ROWS for each in network.rows)


def test_a_file_that_is_no_network_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "v_20260101_000000" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"not a network")

    with pytest.raises(ArtifactError, match=r"model\.onnx of version v_20260101_000000 cannot be loaded") as caught:
        open_network(path)
    assert "\n" not in str(caught.value)
