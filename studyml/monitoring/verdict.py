"""The verdict on one scope: the guide's rule, and beside it the rule that asks for more than chance."""

import math
from dataclasses import dataclass

from studyml.monitoring.degradation import Evidence
from studyml.monitoring.rolling import Rolling

HEALTHY, SUSPECTED, CONFIRMED = "healthy", "suspected", "confirmed"
INSUFFICIENT_DATA, ERROR = "insufficient_data", "error"
#: Verdicts that say that a model is degraded.
DEGRADED = (SUSPECTED, CONFIRMED)

#: A MAE so little above the threshold, in hours, is equal to it but for rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Rule:
    """The guide's rule: suspected when the MAE exceeds ``ratio`` x ``baseline_mae`` (hours) over enough outcomes."""

    baseline_mae: float
    ratio: float
    minimum_outcomes: int

    @property
    def threshold(self) -> float:
        """The MAE above which a model is suspected, hours.

        >>> round(Rule(0.99, 1.2, 10).threshold, 3)
        1.188
        """
        return self.baseline_mae * self.ratio


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one scope, and why in words."""

    verdict: str
    reason: str


def judge(rolling: Rolling, rule: Rule, evidence: Evidence | None = None) -> Verdict:
    """Apply the guide's rule (guide.md, Performance Monitoring), and ``evidence`` of the version, where there is some.

    What is beyond chance is confirmed, whether or not the guide's rule suspects it: a model that was much better than
    the baseline can degrade unseen by that rule.

    >>> judge(Rolling("served", 10, 1.19, 1.5), Rule(0.99, 1.2, 10)).verdict
    'suspected'
    >>> judge(Rolling("served", 10, 1.188, 1.5), Rule(0.99, 1.2, 10)).verdict
    'healthy'
    >>> judge(Rolling("served", 9, 5.0, 6.0), Rule(0.99, 1.2, 10)).verdict
    'insufficient_data'
    >>> judge(Rolling("served", 40, 0.8, 1.0), Rule(0.99, 1.2, 10), Evidence(30, 40, 1.6, 1.5, True)).verdict
    'confirmed'
    """
    if rolling.n < rule.minimum_outcomes:
        return Verdict(INSUFFICIENT_DATA, f"{rolling.n} outcomes in the window, {rule.minimum_outcomes} needed")
    if rolling.mae is None or not math.isfinite(rolling.mae):
        return Verdict(ERROR, f"the MAE over {rolling.n} outcomes is not a number")
    comparison = (
        f"MAE {rolling.mae:.3f} h over {rolling.n} outcomes against a threshold of {rule.threshold:.3f} h"
        f" ({rolling.mae / rule.baseline_mae:.2f} x the baseline)"
    )
    reason = f"{comparison}; {_words(evidence)}"
    if evidence is not None and evidence.confirmed:
        return Verdict(CONFIRMED, reason)
    return Verdict(SUSPECTED if rolling.mae > rule.threshold + _ROUNDING else HEALTHY, reason)


def _words(evidence: Evidence | None) -> str:
    if evidence is None:
        return "whether it is beyond chance is not known: the version has too few outcomes, or no errors out of fold"
    return (
        f"relative errors {evidence.error_ratio:.2f} x those expected over {evidence.n} outcomes of"
        f" {evidence.days} days, chance explains up to {evidence.limit:.2f} x"
    )
