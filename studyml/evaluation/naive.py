"""The naive predictors that every network is held against, fitted on the training rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: What the log-linear regression sees: the logs of these features.
LOG_FEATURES = ("estimated_base_time", "avg_focus_duration", "difficulty_level")
#: Predicted where there is neither a label nor an estimate, hours.
WITHOUT_ANYTHING = 1.0


@dataclass(frozen=True)
class NaivePredictors:
    """The training median (hours), the topic's estimate, and a least-squares fit of log hours on log features."""

    median: float
    log_fills: tuple[float, ...]
    log_weights: tuple[float, ...]

    def predict(self, features: Mapping[str, Floats], rows: int) -> dict[str, Floats]:
        """Hours [rows] by predictor; where a topic has no estimate, the estimate predictor says the median."""
        estimate = features["estimated_base_time"]
        design = _design(features, rows, self.log_fills)
        return {
            "median": np.full(rows, self.median),
            "estimate": np.where(np.isnan(estimate), self.median, estimate),
            "log_linear": np.exp(np.clip(design @ np.array(self.log_weights), -5, 5)),
        }


def fit_naive(features: Mapping[str, Floats], hours: Floats) -> NaivePredictors:
    """Fit on training rows with labels ``hours`` [n]; without any row the median is WITHOUT_ANYTHING."""
    if len(hours) == 0:
        return NaivePredictors(WITHOUT_ANYTHING, (0.0,) * len(LOG_FEATURES), (0.0,) * (len(LOG_FEATURES) + 1))
    fills = tuple(_median_log(features[name]) for name in LOG_FEATURES)
    weights, *_ = np.linalg.lstsq(_design(features, len(hours), fills), np.log(hours), rcond=None)
    return NaivePredictors(float(np.median(hours)), fills, tuple(float(each) for each in weights))


def _median_log(values: Floats) -> float:
    known = values[values > 0]
    return float(np.median(np.log(known))) if known.size else 0.0


def _design(features: Mapping[str, Floats], rows: int, fills: tuple[float, ...]) -> Floats:
    columns = [np.ones(rows)]
    for name, fill in zip(LOG_FEATURES, fills, strict=True):
        values = features[name]
        usable = values > 0
        columns.append(np.where(usable, np.log(np.where(usable, values, 1.0)), fill))
    return np.column_stack(columns)
