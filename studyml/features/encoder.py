"""From features to the network's input: fitted on training rows, stored as JSON, applied the same everywhere.

A missing number becomes the training median and, where training saw gaps, sets an indicator; a recipe may add the
logarithms of lengths. A category becomes one column per level that is frequent enough; a rare, unseen or missing level
is all zeros. A recipe may add products of two features' factors. Every input is then standardised (the guide's
StandardScaler) and clipped, so that an unusual value cannot run away with a prediction.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from studyml.features.definition import CYCLICAL, DERIVED, FEATURES
from studyml.features.factors import LARGEST, Factor, factors_from_json
from studyml.frame import Frame

#: A level needs this many training rows (or this share), and a feature keeps at most so many levels (facts.md).
MINIMUM_LEVEL_ROWS, MINIMUM_LEVEL_SHARE, MAXIMUM_LEVELS = 10, 0.005, 25
#: Standardised inputs are clipped to this many standard deviations.
CLIP = 5.0

GUIDE_INPUTS = (*FEATURES, *DERIVED, *CYCLICAL)
_ALWAYS_KINDS: tuple[Literal["number", "missing"], ...] = ("number", "missing")

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Input:
    """One column of the network's input: (raw - mean) / scale, where raw depends on ``kind``.

    ``number``: the feature, or ``fill`` where it is missing; ``missing``: 1 where it is missing, else 0;
    ``level``: 1 where the category is ``level``, else 0; ``log``: the natural logarithm of the feature, or ``fill``
    where it is missing or not positive; ``product``: of the two ``factors`` (``feature`` is the first one's).
    """

    feature: str
    kind: Literal["number", "missing", "level", "log", "product"]
    mean: float
    scale: float
    fill: float = 0.0
    level: str = ""
    factors: tuple[Factor, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """What it is made of: one feature, or a product's two."""
        return tuple(each.feature for each in self.factors) or (self.feature,)

    @property
    def name(self) -> str:
        """A name that is unique among the inputs."""
        if self.kind == "product":
            return " x ".join(each.name for each in self.factors)
        if self.kind == "log":
            return f"log({self.feature})"
        return self.feature if self.kind == "number" else f"{self.feature}={self.level or 'missing'}"


@dataclass(frozen=True)
class Encoder:
    """The fitted inputs, why other features are not among them, and every level that training saw."""

    inputs: tuple[Input, ...]
    dropped: Mapping[str, str]
    categories: Mapping[str, tuple[str, ...]]
    clip: float = CLIP

    def to_json(self) -> dict[str, Any]:
        """What ``features.json`` holds."""
        return {
            "inputs": [asdict(each) for each in self.inputs],
            "dropped": dict(self.dropped),
            "categories": {name: list(levels) for name, levels in self.categories.items()},
            "clip": self.clip,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Encoder":
        """The inverse of ``to_json``; KeyError or TypeError where the document is not one."""
        made = ({**each, "factors": factors_from_json(each.get("factors", ()))} for each in stored["inputs"])
        inputs = tuple(Input(**each) for each in made)
        categories = {name: tuple(levels) for name, levels in stored["categories"].items()}
        return cls(inputs, dict(stored["dropped"]), categories, float(stored["clip"]))

    @property
    def features(self) -> frozenset[str]:
        """The features that any input is made of."""
        return frozenset(name for each in self.inputs for name in each.features)

    def with_products(self, frame: Frame, pairs: Iterable[tuple[Factor, Factor]]) -> "Encoder":
        """The encoder with an input for each two factors that are not zero in enough of the training rows."""
        made = [Input(pair[0].feature, "product", 0.0, 1.0, factors=pair) for pair in pairs]
        enough = [each for each in made if np.count_nonzero(raw_input(frame, each)) >= MINIMUM_LEVEL_ROWS]
        return replace(self, inputs=(*self.inputs, *(_standardised(frame, each) for each in enough)))

    def keep(self, positions: Sequence[int], reason: str) -> "Encoder":
        """The encoder with the inputs at ``positions`` only; features without any left are dropped for ``reason``."""
        inputs = tuple(self.inputs[position] for position in sorted(positions))
        kept = replace(self, inputs=inputs)
        gone = {name: reason for each in self.inputs for name in each.features if name not in kept.features}
        return replace(kept, dropped={**self.dropped, **gone})

    def encode(self, frame: Frame) -> Matrix:
        """The network's input, float32 [rows, inputs], always finite."""
        matrix = np.empty((len(frame), len(self.inputs)), np.float32)
        for position, each in enumerate(self.inputs):
            with np.errstate(over="ignore"):  # an infinite quotient is clipped like any other
                standardised = (raw_input(frame, each) - each.mean) / each.scale
            matrix[:, position] = np.clip(standardised, -self.clip, self.clip)
        return matrix


def raw_input(frame: Frame, each: Input) -> NDArray[np.float64]:
    """One input before standardising, float64 [rows]."""
    if each.kind == "product":
        first, second = each.factors
        return first.values(frame) * second.values(frame)
    if each.kind == "level":
        return Factor(each.feature, each.level).values(frame)
    numbers = frame[each.feature].astype(np.float64)
    known = _known(numbers)
    if each.kind == "missing":
        return (~known).astype(np.float64)
    if each.kind == "log":
        known &= numbers > 0
        return np.where(known, np.log(np.where(known, numbers, 1.0)), each.fill)
    return np.where(known, numbers, each.fill)


def _known(numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
    # NaN compares false, so that one comparison says all.
    return np.abs(numbers) <= LARGEST


def fit_encoder(
    frame: Frame,
    names: Sequence[str] = GUIDE_INPUTS,
    *,
    logs: Sequence[str] = (),
    always: Sequence[str] = (),
) -> Encoder:
    """Fit on the training rows; features that carry nothing there are dropped, with the reason.

    ``logs``: features whose logarithm is an input too; ``always``: features that keep their place even where they
    are constant, a sequence's, with zero and an indicator where there is none.
    """
    inputs: list[Input] = []
    dropped: dict[str, str] = {}
    for name in always:
        inputs += [_standardised(frame, Input(name, kind, 0.0, 1.0)) for kind in _ALWAYS_KINDS]
    for name in names:
        if name in frame.vocabularies:
            found = _fit_levels(frame, name)
            reason = "no level is frequent enough, or there is only one"
        else:
            found = _fit_number(frame, name)
            reason = "never known before a session" if name == "breaks_taken" else "empty or constant in training"
        inputs += found
        if name in logs and any(each.kind == "number" for each in found):
            inputs += _fit_log(frame, name)
        if not found:
            dropped[name] = reason
    categories = {name: _seen(frame, name) for name in names if name in frame.vocabularies}
    return Encoder(tuple(inputs), dropped, categories)


def _seen(frame: Frame, name: str) -> tuple[str, ...]:
    codes = frame[name].astype(np.intp)
    present = set(np.unique(codes).tolist())
    return tuple(sorted(level for code, level in enumerate(frame.vocabularies[name]) if code in present))


def _fit_number(frame: Frame, name: str) -> list[Input]:
    values = frame[name].astype(np.float64)
    known = values[_known(values)]
    found: list[Input] = []
    if known.size and known.min() < known.max():
        filled = Input(name, "number", 0.0, 1.0, fill=float(np.median(known)))
        found.append(_standardised(frame, filled))
    if known.size and known.size < len(values):
        found.append(_standardised(frame, Input(name, "missing", 0.0, 1.0)))
    return found


def _fit_log(frame: Frame, name: str) -> list[Input]:
    values = frame[name].astype(np.float64)
    positive = values[_known(values) & (values > 0)]
    if not positive.size or positive.min() == positive.max():
        return []
    return [_standardised(frame, Input(name, "log", 0.0, 1.0, fill=float(np.log(np.median(positive)))))]


def _fit_levels(frame: Frame, name: str) -> list[Input]:
    vocabulary = frame.vocabularies[name]
    codes = frame[name].astype(np.intp)
    counts = np.bincount(codes[codes >= 0], minlength=len(vocabulary))
    needed = max(MINIMUM_LEVEL_ROWS, MINIMUM_LEVEL_SHARE * len(frame))
    # By frequency, ties by name: the order of a vocabulary says nothing, and must not change a network.
    by_count = sorted(range(len(vocabulary)), key=lambda code: (-counts[code], vocabulary[code]))
    frequent = [code for code in by_count[:MAXIMUM_LEVELS] if counts[code] >= needed]
    inputs = [Input(name, "level", 0.0, 1.0, level=vocabulary[code]) for code in frequent]
    return [_standardised(frame, each) for each in inputs if 0 < raw_input(frame, each).mean() < 1]


def _standardised(frame: Frame, each: Input) -> Input:
    raw = raw_input(frame, each)
    return replace(each, mean=float(raw.mean()), scale=float(raw.std()) or 1.0)
