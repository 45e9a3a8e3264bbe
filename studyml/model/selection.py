"""Which inputs tell anything about the length: a lasso on the log target, with the one-standard-error rule."""

import warnings

import numpy as np
from numpy.typing import NDArray

from studyml.errors import TrainingError

_FOLDS, _PENALTIES = 5, 50
_NEGLIGIBLE = 1e-9


def select_by_fold(
    matrix: NDArray[np.float32],
    hours: NDArray[np.float64],
    folds: NDArray[np.int64],
    candidates: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which inputs [folds, inputs] the member of each fold may see.

    They are what the rows [n] outside its fold select of its ``candidates`` [folds, inputs]: a fold has no say in what
    the member sees that predicts it, else its error would look better than it is. Raises TrainingError where most
    folds' rows select nothing: what the others select is then taken for chance.
    """
    seen = np.zeros_like(candidates)
    for fold, own in enumerate(map(np.flatnonzero, candidates)):
        outside = folds != fold
        seen[fold, own[select_inputs(matrix[outside][:, own], hours[outside], folds[outside])]] = True
    if 2 * seen.any(axis=1).sum() <= len(seen):
        raise TrainingError("no input tells anything about the length that chance would not")
    return seen


def select_inputs(matrix: NDArray[np.float32], hours: NDArray[np.float64], folds: NDArray[np.int64]) -> list[int]:
    """Positions of the inputs [n, inputs] that a lasso on standardised log hours [n] keeps; none where none tells.

    The penalty is the largest whose cross-validated error is within one standard error of the best (Breiman et al.,
    Classification and Regression Trees, 1984, section 3.4.3).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso, LassoCV
    from sklearn.model_selection import PredefinedSplit

    if len(np.unique(folds)) < 2:
        folds = np.arange(len(hours)) % _FOLDS
    inputs, logs = matrix.astype(np.float64), np.log(hours)
    target = (logs - logs.mean()) / (logs.std() or 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        path = LassoCV(alphas=_PENALTIES, cv=PredefinedSplit(folds)).fit(inputs, target)
        errors = path.mse_path_.mean(axis=1)
        spread = path.mse_path_.std(axis=1) / np.sqrt(path.mse_path_.shape[1])
        best = int(errors.argmin())
        within = np.flatnonzero(errors <= errors[best] + spread[best])
        kept = Lasso(alpha=float(path.alphas_[within].max())).fit(inputs, target).coef_
    return [int(each) for each in np.flatnonzero(np.abs(kept) > _NEGLIGIBLE)]
