"""``scaler.joblib`` and ``encoders.joblib``: the fitted preprocessing as scikit-learn objects, for people.

Nothing in studyml loads them: scoring reads ``features.json`` and never unpickles.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def save_sklearn(
    folder: Path,
    *,
    names: Sequence[str],
    means: NDArray[np.float64],
    scales: NDArray[np.float64],
    rows: int,
    categories: Mapping[str, Sequence[str]],
) -> None:
    """Write a StandardScaler over the inputs ``names`` and one OneHotEncoder per category."""
    import joblib
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_ = means, scales, scales**2
    scaler.n_features_in_, scaler.n_samples_seen_ = len(names), rows
    scaler.feature_names_in_ = np.array(names, dtype=object)
    encoders = {
        feature: OneHotEncoder(categories=[list(levels)], handle_unknown="ignore").fit([[level] for level in levels])
        for feature, levels in categories.items()
        if levels
    }
    joblib.dump(scaler, folder / "scaler.joblib")
    joblib.dump(encoders, folder / "encoders.joblib")
