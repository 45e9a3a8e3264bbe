"""Results over seeds: means, spreads and paired differences."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, median, stdev

from benchmarks.quality.ours import AUTO
from benchmarks.quality.results import Result


@dataclass(frozen=True)
class Row:
    """A predictor on one process and size: MAE over the reference's (mean and standard deviation over seeds).

    ``behind``: how much less that ratio is for ``auto``, on the same seeds; ``error`` its standard error.
    """

    predictor: str
    seeds: int
    ratio: float
    spread: float
    behind: float | None
    error: float | None
    seconds: float
    failures: int


@dataclass(frozen=True)
class Table:
    """All predictors on one process and size, the best first."""

    process: str
    size: int
    rows: tuple[Row, ...]
    reference: float
    training_rows: int
    test_rows: int

    def row(self, predictor: str) -> Row | None:
        """The row of a predictor, if it was measured."""
        return next((each for each in self.rows if each.predictor == predictor), None)


def tables(results: Iterable[Result]) -> list[Table]:
    """A table for each process and size among the results, in the order in which these first appear."""
    grouped: dict[tuple[str, int], dict[str, dict[int, Result]]] = {}
    for result in results:
        of_case = grouped.setdefault((result.process, result.size), {})
        of_case.setdefault(result.predictor, {})[result.seed] = result
    return [_table(process, size, found) for (process, size), found in grouped.items()]


def _table(process: str, size: int, found: Mapping[str, Mapping[int, Result]]) -> Table:
    auto = _ratios(found.get(AUTO, {}))
    rows = [_row(name, of_seed, auto) for name, of_seed in found.items() if _ratios(of_seed)]
    any_seed = {seed: result for of_seed in found.values() for seed, result in of_seed.items()}
    details = next(iter(any_seed.values())).details
    return Table(
        process,
        size,
        tuple(sorted(rows, key=lambda row: row.ratio)),
        fmean(result.reference for result in any_seed.values()),
        int(details["training_rows"]),
        int(details["test_rows"]),
    )


def _ratios(of_seed: Mapping[int, Result]) -> dict[int, float]:
    return {seed: result.ratio for seed, result in of_seed.items() if result.ratio is not None}


def _row(name: str, of_seed: Mapping[int, Result], auto: Mapping[int, float]) -> Row:
    ratios = _ratios(of_seed)
    pairs = [ratio - auto[seed] for seed, ratio in ratios.items() if seed in auto]
    values = list(ratios.values())
    return Row(
        name,
        len(values),
        fmean(values),
        stdev(values) if len(values) > 1 else 0.0,
        fmean(pairs) if pairs and name != AUTO else None,
        stdev(pairs) / sqrt(len(pairs)) if len(pairs) > 1 and name != AUTO else None,
        median(result.seconds for result in of_seed.values()),
        len(of_seed) - len(values),
    )
