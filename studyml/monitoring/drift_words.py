"""What moved, in a sentence that a person understands at night."""

from studyml.monitoring.profile import COLUMNS, PREDICTED, CategoryProfile, NumberProfile, Profile

#: A level is quoted where training had so many rows of it: what few students typed may be of a person.
_QUOTED_ROWS = 20
_UNITS = {"student_id": "students", "topic_id": "topics", "id": "sessions"}
_SCALES = ("1-10", "1-5", "count")
#: Where medians are equal: the share that lies below, and how it is called.
_ELSEWHERE = (
    (0.1, "lowest tenth up to"),
    (0.25, "lowest quarter up to"),
    (0.75, "three quarters up to"),
    (0.9, "nine tenths up to"),
)


def sentence(
    feature: str,
    before: Profile,
    now: Profile,
    *,
    judged: bool,
    about: str,
    unseen_share: float,
) -> str:
    """One line about a feature; ``about`` is "unseen", "missing" or "distribution"."""
    unit = _UNITS[COLUMNS[feature][1]] if feature in COLUMNS else "predictions"
    if not judged:
        rows = now.crowd.rows
        return f"{feature}: {rows:,} {unit} now, {before.crowd.rows:,} in training: too few to judge"
    if about == "unseen":
        return f"{feature}: values never seen in training in {_percent(unseen_share)} of {unit}"
    if about == "missing":
        shares = [_percent(each.crowd.missing / each.crowd.rows) for each in (now, before)]
        return f"{feature}: {shares[0]} missing, {shares[1]} before"
    if isinstance(before, NumberProfile) and isinstance(now, NumberProfile):
        return f"{feature}: {_numbers(feature, before, now)}"
    if isinstance(before, CategoryProfile) and isinstance(now, CategoryProfile):
        return f"{feature}: {_level(before, now)}"
    raise AssertionError("a column has one kind")


def _numbers(feature: str, before: NumberProfile, now: NumberProfile) -> str:
    if not before.values or not now.values:
        return "no values" if not now.values else "no values in training"
    unit = "hours" if feature == PREDICTED else COLUMNS[feature][0].unit
    unit = "" if not unit or unit in _SCALES else f" {unit}"
    for share, words in ((0.5, "median"), *_ELSEWHERE):
        one, other = (f"{each.quantile(share):.3g}" for each in (before, now))
        if one != other:
            return f"{words} {one} -> {other}{unit}"
    return f"median {now.quantile(0.5):.3g}{unit} as before"


def _level(before: CategoryProfile, now: CategoryProfile) -> str:
    """The level, of those that training had often, whose share changed the most."""
    known = [max(each.crowd.rows - each.crowd.missing, 1) for each in (before, now)]
    shares = {
        level: tuple(each.counts.get(level, 0) / rows for each, rows in zip((before, now), known, strict=True))
        for level in sorted(before.counts)
        if before.counts[level] >= _QUOTED_ROWS
    }
    if not shares:
        return "values in other shares than in training"
    level = max(shares, key=lambda each: abs(shares[each][1] - shares[each][0]))
    return f"'{level}' {_percent(shares[level][0])} -> {_percent(shares[level][1])}"


def _percent(share: float) -> str:
    """A share as people read it.

    >>> _percent(0.123), _percent(0.0), _percent(0.002)
    ('12 %', '0 %', '0.2 %')
    """
    return f"{share:.1%}".replace("%", " %") if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")
