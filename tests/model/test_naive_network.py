"""A naive predictor as a network: one linear layer, run like any other."""

from pathlib import Path

import numpy as np
import pytest

from studyml.model.naive_network import save_linear
from studyml.scoring.predictor import open_network, run_network


@pytest.mark.parametrize(("weights", "bias"), [([1.0], 0.0), ([0.0], 2.5), ([0.5, -2.0, 3.0], 1.25)])
def test_it_computes_the_linear_form(weights: list[float], bias: float, tmp_path: Path) -> None:
    save_linear(tmp_path, weights, bias)
    matrix = np.random.default_rng(0).normal(size=(10_000, len(weights))).astype(np.float32)

    found = run_network(open_network(tmp_path / "model.onnx"), matrix)

    assert found == pytest.approx(matrix.astype(np.float64) @ np.array(weights) + bias, abs=1e-5)
