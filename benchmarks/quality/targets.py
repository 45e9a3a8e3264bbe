"""What is to be reached with the default, and whether it was."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean

from benchmarks.quality.missing import EVERYTHING, HISTORY, RATES
from benchmarks.quality.ours import AUTO, GUIDES_NETWORK, SERVED
from benchmarks.quality.peers import PEERS
from benchmarks.quality.plan import GUIDE, REAL_LOGS
from benchmarks.quality.results import Result
from benchmarks.quality.summary import Table

#: MAE over the best possible on the guide's process, by training sessions.
RATIOS = {600: 1.02, 10_000: 1.005}
REAL_RATIO = 1.02
#: A difference of so many paired standard errors is no chance.
ERRORS = 2.0
#: How far the coverage of intervals may be from what they promise: overall, and in a tenth by predicted length.
COVERAGE_OVERALL, COVERAGE_TENTH = 0.02, 0.05
COVERAGE_SIZE = 600
TREES = tuple(name for name, peer in PEERS.items() if peer.is_tree)


@dataclass(frozen=True)
class Target:
    """A sentence, whether it holds (None: not measured), and the figures that say so."""

    words: str
    passed: bool | None
    figures: str


@dataclass(frozen=True)
class Coverage:
    """The share of outcomes inside a predictor's intervals: mean over seeds, overall and by predicted length."""

    nominal: str
    overall: float
    tenths: tuple[float, ...]
    hours: tuple[float, ...]


@dataclass(frozen=True)
class Gap:
    """MAE by rate of missing values, over that of complete rows and over the training median's (mean over seeds)."""

    feature: str
    kind: str
    to_complete: tuple[float, ...]
    to_median: tuple[float, ...]


def targets(found: Sequence[Table], results: Sequence[Result]) -> list[Target]:
    """Each target of the project with what was measured."""
    by_key = {(table.process, table.size): table for table in found}
    listed = [_ratio_target(by_key.get((GUIDE, size)), size, limit) for size, limit in RATIOS.items()]
    guides = [table for table in found if table.process == GUIDE]
    for table in guides:
        listed.append(_never_behind(table))
        listed.append(_ahead(table, (*TREES, GUIDES_NETWORK)))
    real = [table for table in found if table.process in REAL_LOGS]
    listed += [_real_ratio(real), _real_trees(real)]
    listed += [_never_behind(table) for table in found if table.process not in (GUIDE, *REAL_LOGS)]
    listed += _coverage_targets(results)
    listed += _gap_targets(results)
    return listed


def _ratio_target(table: Table | None, size: int, limit: float) -> Target:
    auto = table.row(AUTO) if table else None
    words = f"auto: MAE at most {limit:g} of the best possible on the guide's process at {size:,} sessions"
    return Target(words, auto.ratio <= limit if auto else None, f"{auto.ratio:.4f}" if auto else "")


def _never_behind(table: Table) -> Target:
    compared = [
        row
        for row in table.rows
        if row.predictor in PEERS and not PEERS[row.predictor].is_told
        if row.behind is not None and row.error is not None
    ]
    behind = [row for row in compared if (row.behind or 0.0) < -ERRORS * (row.error or 0.0)]
    figures = ", ".join(f"{row.predictor} {row.behind:+.3f} ± {row.error:.3f}" for row in behind)
    words = f"auto: behind no peer by more than {ERRORS:g} paired standard errors on {label(table)}"
    return Target(words, not behind if compared else None, figures)


def _ahead(table: Table, names: Sequence[str]) -> Target:
    rows = [row for row in table.rows if row.predictor in names and row.behind is not None]
    nearest = min(rows, key=lambda row: row.behind or 0.0, default=None)
    words = f"auto: ahead of every tree and of the guide's network on {label(table)}"
    if nearest is None:
        return Target(words, None, "")
    return Target(words, (nearest.behind or 0.0) > 0, f"nearest: {nearest.predictor} {nearest.behind:+.4f}")


def _real_ratio(real: Sequence[Table]) -> Target:
    autos = {table.process: row for table in real if (row := table.row(AUTO)) is not None}
    words = f"auto: MAE at most {REAL_RATIO:g} of the best naive predictor on every real log"
    passed = all(row.ratio <= REAL_RATIO for row in autos.values()) if autos else None
    return Target(words, passed, ", ".join(f"{name} {row.ratio:.3f}" for name, row in autos.items()))


def _real_trees(real: Sequence[Table]) -> Target:
    names = (AUTO, "lightgbm_history", "catboost_history")
    rows = {name: [row.ratio for table in real if (row := table.row(name)) is not None] for name in names}
    words = "auto: ahead of LightGBM and CatBoost with the same features, in the geometric mean over the real logs"
    if not real or any(len(ratios) != len(real) for ratios in rows.values()):
        return Target(words, None, "")
    means = {name: exp(fmean(log(ratio) for ratio in ratios)) for name, ratios in rows.items()}
    passed = all(means[AUTO] < means[name] for name in names[1:])
    return Target(words, passed, ", ".join(f"{name} {mean:.3f}" for name, mean in means.items()))


def label(table: Table) -> str:
    """A process and its size in words."""
    return f"{table.process} at {table.size:,}" if table.size else table.process


def coverages(results: Iterable[Result], process: str, size: int, predictor: str = AUTO) -> list[Coverage]:
    """The coverage of a predictor's intervals on a process, mean over seeds."""
    of_case = [each for each in results if (each.process, each.size, each.predictor) == (process, size, predictor)]
    seeds = [each.details["coverage"] for each in of_case if "coverage" in each.details]
    return [
        Coverage(
            nominal,
            fmean(seed[nominal]["overall"] for seed in seeds),
            tuple(map(fmean, zip(*(seed[nominal]["tenths"] for seed in seeds), strict=True))),
            tuple(map(fmean, zip(*(seed[nominal]["hours"] for seed in seeds), strict=True))),
        )
        for nominal in (seeds[0] if seeds else ())
    ]


def _autos(results: Iterable[Result], process: str, size: int) -> list[Result]:
    return [each for each in results if (each.process, each.size, each.predictor) == (process, size, AUTO)]


def _coverage_targets(results: Sequence[Result]) -> Iterator[Target]:
    for each in coverages(results, GUIDE, COVERAGE_SIZE, SERVED):
        nominal = float(each.nominal.rstrip("%")) / 100
        worst = max(each.tenths, key=lambda tenth: abs(tenth - nominal))
        words = f"{each.nominal} intervals that serve, guide's process at {COVERAGE_SIZE}: coverage within"
        overall, tenth = abs(each.overall - nominal), abs(worst - nominal)
        yield Target(f"{words} 2 points overall", overall <= COVERAGE_OVERALL, f"{each.overall:.1%}")
        yield Target(f"{words} 5 points for each tenth of length", tenth <= COVERAGE_TENTH, f"worst {worst:.1%}")


def gaps(results: Iterable[Result], process: str, size: int) -> list[Gap]:
    """What values missing at scoring cost ``auto`` on a process, mean over seeds."""
    seeds = [each.details["gaps"] for each in _autos(results, process, size) if "gaps" in each.details]

    def over(name: str, row: int) -> tuple[float, ...]:
        at_rates = ([mae / seed[name] for mae in seed["rows"][row]["maes"]] for seed in seeds)
        return tuple(map(fmean, zip(*at_rates, strict=True)))

    return [
        Gap(each["feature"], each["kind"], over("complete", row), over("median", row))
        for row, each in enumerate(seeds[0]["rows"] if seeds else ())
    ]


def _gap_targets(results: Sequence[Result]) -> Iterator[Target]:
    with_gaps = sorted({(each.process, each.size) for each in results if "gaps" in each.details})
    for process, size in with_gaps:
        rows = [row for row in gaps(results, process, size) if row.feature not in (HISTORY, EVERYTHING)]
        worst = max(rows, key=lambda row: max(row.to_median))
        words = f"auto: a feature missing or unseen at scoring is never worse than the median, {process} at {size:,}"
        rate = RATES[worst.to_median.index(max(worst.to_median))]
        figures = f"worst: {worst.feature} {worst.kind} at {rate:.0%}, {max(worst.to_median):.3f} of the median's MAE"
        yield Target(words, max(worst.to_median) <= 1, figures)
    if with_gaps:
        every = [each.details["gaps"] for each in results if "gaps" in each.details]
        shortest = min(each["shortest"] for each in every)
        passed = all(each["finite"] for each in every) and shortest >= 0.1
        yield Target("no NaN and nothing under 0.1 h, whatever is missing", passed, f"shortest {shortest:.2f} h")
