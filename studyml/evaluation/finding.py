"""What a diagnosis says: a fault of a training run in words, with figures, and what to do about it."""

from dataclasses import dataclass
from typing import Any, Literal

#: Names of the guide's troubleshooting (guide.md, Troubleshooting), and two more of bad data.
Kind = Literal[
    "overfitting",
    "underfitting",
    "poor_convergence",
    "too_few_rows",
    "unscaled_features",
    "constant_features",
    "outliers",
    "target_shift",
]
#: ``warning``: the model suffers, or is likely to; ``information``: worth knowing, nothing is wrong with the model.
Severity = Literal["information", "warning"]


@dataclass(frozen=True)
class Finding:
    """One fault: ``sentence`` holds the measured figures, each remedy what to change and the setting that does it."""

    kind: Kind
    severity: Severity
    sentence: str
    remedies: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What the evaluation report keeps."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "sentence": self.sentence,
            "remedies": list(self.remedies),
        }
