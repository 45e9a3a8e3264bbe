"""Noisy copies of training rows, the guide's data augmentation at a cost that grows with the rows."""

import numpy as np
from numpy.typing import NDArray

from studyml.features.definition import derive
from studyml.frame import Frame

#: The guide's noise: a factor on the label, and steps on the two five-point scales.
LABEL_DEVIATION, SCALE_DEVIATION = 0.1, 0.5
_SCALES = ("energy_level", "distraction_level")
_SMALLEST_FACTOR = 0.1


def augment(frame: Frame, label: str, factor: float, *, seed: int) -> tuple[Frame, NDArray[np.int64]]:
    """``round(factor x n)`` noisy copies of rows drawn evenly from [n], and the row that each one copies.

    Source: guide.md, Data Augmentation. Its loop made ``factor x n`` copies of every row; here it is of all rows.
    """
    random = np.random.default_rng(seed)
    count = round(factor * len(frame))
    whole, rest = divmod(count, max(1, len(frame)))
    origin = np.concatenate([np.tile(np.arange(len(frame)), whole), random.permutation(len(frame))[:rest]])
    origin = origin.astype(np.int64)
    copies = frame.take(origin)
    hours = copies[label].astype(np.float64) * np.maximum(_SMALLEST_FACTOR, random.normal(1, LABEL_DEVIATION, count))
    noisy = {
        name: np.clip(copies[name].astype(np.float64) + random.normal(0, SCALE_DEVIATION, count), 1, 5)
        for name in _SCALES
    }
    return derive(copies.with_columns(**{label: hours}, **noisy)), origin
