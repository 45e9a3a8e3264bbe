"""The tables, for a terminal or a file, and the same as one JSON document."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from benchmarks.quality import summary
from benchmarks.quality.missing import RATES
from benchmarks.quality.ours import NAMES
from benchmarks.quality.plan import GUIDE, REAL_LOGS
from benchmarks.quality.processes import PROCESSES
from benchmarks.quality.results import Result
from benchmarks.quality.targets import COVERAGE_SIZE, Target, coverages, gaps, label, targets


def print_report(console: Console, results: Sequence[Result]) -> bool:
    """Print everything; False where a target was measured and missed."""
    found = summary.tables(results)
    for table in found:
        console.print(_printed(table), "")
    _print_coverages(console, results)
    for process, size in sorted({(each.process, each.size) for each in results if "gaps" in each.details}):
        _print_gaps(console, results, process, size)
    listed = targets(found, results)
    console.print(_printed_targets(listed))
    return all(target.passed is not False for target in listed)


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """The same as a document."""
    found = summary.tables(results)
    return {
        "tables": [asdict(table) for table in found],
        "coverage": [asdict(each) for each in coverages(results, GUIDE, COVERAGE_SIZE)],
        "gaps": [
            {"process": process, "size": size, "rates": RATES, **asdict(row)}
            for process, size in sorted({(each.process, each.size) for each in results if "gaps" in each.details})
            for row in gaps(results, process, size)
        ],
        "targets": [asdict(target) for target in targets(found, results)],
    }


def _printed(table: summary.Table) -> Printed:
    if table.process in REAL_LOGS:
        words, reference = "a real log, ordered by time", "best naive predictor (median or estimate)"
    else:
        process = PROCESSES[table.process]
        words, reference = process.words, f"best possible ({process.oracle})"
    printed = Printed(
        title=f"{label(table)}: {words}",
        caption=f"{table.training_rows:,} rows to learn from, {table.test_rows:,} later ones to be judged on. Ratio:"
        f" MAE over that of the {reference}, {table.reference:.3f} h on average.",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("predictor", "seeds", "ratio", "± sd", "over auto", "± se", "fit s"):
        printed.add_column(heading, justify="left" if heading == "predictor" else "right")
    for row in table.rows:
        is_ours = row.predictor in NAMES
        name = row.predictor + (f" ({row.failures} not fitted)" if row.failures else "")
        cells = (
            name,
            str(row.seeds),
            f"{row.ratio:.4f}",
            f"{row.spread:.4f}",
            "" if row.behind is None else f"{row.behind:+.4f}",
            "" if row.error is None else f"{row.error:.4f}",
            f"{row.seconds:.2f}",
        )
        printed.add_row(*cells, style="bold" if is_ours else None)
    return printed


def _print_coverages(console: Console, results: Sequence[Result]) -> None:
    found = coverages(results, GUIDE, COVERAGE_SIZE)
    if not found:
        return
    printed = Printed(
        title=f"Intervals of auto, guide's process at {COVERAGE_SIZE}: share of outcomes inside", title_justify="left"
    )
    printed.add_column("interval")
    for heading in ("overall", *(f"{hours:.1f} h" for hours in found[0].hours)):
        printed.add_column(heading, justify="right")
    for each in found:
        printed.add_row(each.nominal, f"{each.overall:.1%}", *(f"{tenth:.1%}" for tenth in each.tenths))
    console.print(printed, "Columns: tenths by predicted length, each from the hours named (mean over seeds).", "")


def _print_gaps(console: Console, results: Sequence[Result], process: str, size: int) -> None:
    printed = Printed(
        title=f"Missing and unseen at scoring, auto on {process} at {size:,}: MAE over that of complete rows",
        caption="Last column: at its worst rate, over the MAE of the training median, which it may not exceed.",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("feature", "is", *(f"{rate:.0%}" for rate in RATES), "to median"):
        printed.add_column(heading, justify="left" if heading in ("feature", "is") else "right")
    for row in gaps(results, process, size):
        ratios = (f"{ratio:.3f}" for ratio in row.to_complete)
        printed.add_row(row.feature, row.kind, *ratios, f"{max(row.to_median):.3f}")
    console.print(printed, "")


def _printed_targets(listed: Sequence[Target]) -> Printed:
    printed = Printed(title="To reach", title_justify="left")
    for heading in ("", "target", "measured"):
        printed.add_column(heading)
    for target in listed:
        verdict = {True: "[green]pass[/]", False: "[red]FAIL[/]", None: "not measured"}[target.passed]
        printed.add_row(verdict, escape(target.words), escape(target.figures))
    return printed
