"""Which inputs tell anything about the length: a lasso on the log target, with the one-standard-error rule."""

import warnings

import numpy as np
from numpy.typing import NDArray

from studyml.errors import TrainingError

#: Rows at most that the lasso looks at: beyond, its choice no longer changes.
_MAXIMUM_ROWS = 20_000
_FOLDS, _PENALTIES = 5, 50
_NEGLIGIBLE = 1e-9


def select_inputs(matrix: NDArray[np.float32], hours: NDArray[np.float64], folds: NDArray[np.int64]) -> list[int]:
    """Positions of the inputs [n, inputs] that a lasso on standardised log hours [n] keeps.

    The penalty is the largest whose cross-validated error is within one standard error of the best (Breiman et al.,
    Classification and Regression Trees, 1984, section 3.4.3). Raises TrainingError where it keeps none.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso, LassoCV
    from sklearn.model_selection import PredefinedSplit

    step = max(1, len(hours) // _MAXIMUM_ROWS)
    inputs, logs = matrix[::step].astype(np.float64), np.log(hours[::step])
    target = (logs - logs.mean()) / (logs.std() or 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = LassoCV(alphas=_PENALTIES, cv=PredefinedSplit(folds[::step])).fit(inputs, target)
        errors = path.mse_path_.mean(axis=1)
        spread = path.mse_path_.std(axis=1) / np.sqrt(path.mse_path_.shape[1])
        best = int(errors.argmin())
        within = np.flatnonzero(errors <= errors[best] + spread[best])
        kept = Lasso(alpha=float(path.alphas_[within].max())).fit(inputs, target).coef_
    positions = np.flatnonzero(np.abs(kept) > _NEGLIGIBLE)
    if not positions.size:
        raise TrainingError("no input tells anything about the length that chance would not")
    return [int(each) for each in positions]
