"""The tables, for a terminal or a file, and the same as one JSON document."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Printed

from benchmarks.quality import summary
from benchmarks.quality.missing import RATES
from benchmarks.quality.ours import AUTO, NAMES, SERVED
from benchmarks.quality.plan import REAL_LOGS, SERVED_SIZES
from benchmarks.quality.processes import PROCESSES
from benchmarks.quality.results import Result
from benchmarks.quality.targets import Target, coverages, gaps, label, targets


def print_report(console: Console, results: Sequence[Result]) -> bool:
    """Print everything; False where a target was measured and missed."""
    found = summary.tables(results)
    for table in found:
        console.print(_printed(table), "")
    for process, size in dict.fromkeys((each.process, each.size) for each in results if each.size in SERVED_SIZES):
        _print_coverages(console, results, process, size)
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
        "coverage": [
            {"process": process, "size": size, "predictor": predictor, **asdict(each)}
            for process, size, predictor in dict.fromkeys(
                (result.process, result.size, result.predictor) for result in results
            )
            for each in coverages(results, process, size, predictor)
        ],
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


def _print_coverages(console: Console, results: Sequence[Result], process: str, size: int) -> None:
    found = {name: coverages(results, process, size, name) for name in (AUTO, SERVED)}
    if not any(found.values()):
        return
    name = f"{process} at {size:,}" if size else process
    printed = Printed(
        title=f"Intervals on {name}: share of outcomes inside, overall and by tenth of predicted length",
        title_justify="left",
    )
    printed.add_column("of")
    for heading in ("interval", "overall", *(str(tenth) for tenth in range(1, 11))):
        printed.add_column(heading, justify="right")
    for predictor, of_predictor in found.items():
        for each in of_predictor:
            shares = (f"{100 * share:.1f}" for share in (each.overall, *each.tenths))
            printed.add_row(predictor, each.nominal, *shares)
    console.print(printed, "Percent, mean over seeds; 1 is the shortest tenth.", "")


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
