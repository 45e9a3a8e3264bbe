"""The tables for a terminal or a file, and whether the targets were reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan

from rich.console import Console
from rich.table import Table

from benchmarks.alerts.detectors import OURS
from benchmarks.alerts.measure import CHANGES, KINDS, Case, Found
from benchmarks.alerts.oracle import Oracle

Cells = Mapping[Case, Mapping[str, Found]]

MOST_FALSE_ALARMS = 0.1
#: Days within which half of the changes by half as much again are seen, by labelled sessions a day.
LATEST, LARGE = {2.0: 20, 20.0: 3}, 0.5


@dataclass(frozen=True)
class Target:
    """A sentence, whether it holds, the figures that say so, and the days of the oracle where it misses it as well."""

    words: str
    passed: bool
    figures: str
    missed_by_oracle: float | None = None

    @property
    def reached(self) -> str:
        """In words."""
        if self.passed:
            return "yes"
        if self.missed_by_oracle is None:
            return "NO"
        return f"NO, {_days(self.missed_by_oracle)} by a rule that is told all"


def print_report(console: Console, cells: Cells, oracles: Sequence[Oracle]) -> bool:
    """Print everything; False where a target was missed."""
    for pool, arrivals in dict.fromkeys((case.pool, case.arrivals) for case in cells):
        of_both = {case: rules for case, rules in cells.items() if (case.pool, case.arrivals) == (pool, arrivals)}
        console.print(_printed(f"errors of {pool}, {arrivals} arrivals", of_both), "")
    listed = targets(cells, oracles)
    table = Table("target", "reached", "measured", title="Targets", title_justify="left")
    for target in listed:
        table.add_row(target.words, target.reached, target.figures)
    console.print(table, "", _oracles(oracles))
    return all(target.passed for target in listed)


def targets(cells: Cells, oracles: Sequence[Oracle]) -> list[Target]:
    """Each target, for each log and pattern of arrivals that was measured."""
    listed = []
    least = {each.case: each.days for each in sorted(oracles, key=lambda each: each.days)}
    for pool, arrivals in dict.fromkeys((case.pool, case.arrivals) for case in cells):
        where = f"{pool}, {arrivals}"
        ours = {case.rate: rules[OURS] for case, rules in cells.items() if f"{case.pool}, {case.arrivals}" == where}
        listed.append(_rings_for_nothing(where, ours))
        listed += [
            _sees_a_large_change(where, rate, days, ours[rate], least.get(Case(pool, arrivals, rate), 0.0))
            for rate, days in LATEST.items()
            if rate in ours
        ]
    return listed


def _rings_for_nothing(where: str, ours: Mapping[float, Found]) -> Target:
    words = f"{where}: at most {MOST_FALSE_ALARMS:g} false alarms a year at every rate"
    figures = ", ".join(f"{found.alarms_a_year:.2f} at {rate:g}" for rate, found in ours.items())
    return Target(words, max(found.alarms_a_year for found in ours.values()) <= MOST_FALSE_ALARMS, figures)


def _sees_a_large_change(where: str, rate: float, days: int, ours: Found, least: float) -> Target:
    """``least`` days are what the oracle needs for the kind of change that it sees later."""
    delays = {kind: ours.median_delay(kind, LARGE) for kind in KINDS}
    words = f"{where}: median delay to +{LARGE:.0%} at {rate:g} a day at most {days} days"
    figures = ", ".join(f"{_days(delay)} where {kind}" for kind, delay in delays.items())
    passed = all(delay <= days for delay in delays.values())
    return Target(words, passed, figures, least if least > days else None)


def _oracles(oracles: Sequence[Oracle]) -> Table:
    table = Table(
        title="What a rule needs that is told all",
        caption="How errors are distributed before and after the change, and which change comes (Page 1954); it rings"
        f" {MOST_FALSE_ALARMS:g} times a year for nothing. With even arrivals no rule has a shorter worst mean delay"
        " (Moustakides 1986).",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("errors of", "arrivals", "change"):
        table.add_column(heading)
    for heading in ("labels a day", "days, median", "goal"):
        table.add_column(heading, justify="right")
    for each in oracles:
        change, rate = f"+{each.by:.0%}, {each.kind}", each.case.rate
        table.add_row(each.case.pool, each.case.arrivals, change, f"{rate:g}", _days(each.days), str(LATEST[rate]))
    return table


def _printed(title: str, cells: Cells) -> Table:
    table = Table(
        title=title,
        caption="Median days from a change of the MAE to the alarm, where errors grow / where sessions grow;"
        " – : no alarm in most years.",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("labels a day", "rule", "years", "false alarms a year", "years with any"):
        table.add_column(heading, justify="left" if heading == "rule" else "right")
    for by in CHANGES:
        table.add_column(f"+{by:.0%}", justify="right")
    for case, rules in cells.items():
        for name, found in rules.items():
            table.add_row(f"{case.rate:g}", name, *_cells(found), end_section=name == list(rules)[-1])
    return table


def _cells(found: Found) -> Sequence[str]:
    counts = (str(found.years), f"{found.alarms_a_year:.2f}", f"{found.years_with_alarm / found.years:.0%}")
    delays = (" / ".join(_days(found.median_delay(kind, by)) for kind in KINDS) for by in CHANGES)
    return (*counts, *delays)


def _days(delay: float) -> str:
    if isnan(delay):
        return "?"
    return f"{delay:.0f}" if isfinite(delay) else "–"
