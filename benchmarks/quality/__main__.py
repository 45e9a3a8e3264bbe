"""How good the predictions are, beside peers: what ``make bench-quality`` prints.

    .venv/bin/python -m benchmarks.quality [--quick] [--processes guide kaist] [--sizes 600] [--seeds 10]
        [--only auto 'catboost*'] [--out FILE] [--json FILE] [--report-only] [--check]

Every predictor learns from the same rows and the same features as known before a session, and is judged on later
rows (``log.py``). Results are kept as lines of --out with a fingerprint of the code that made them: an interrupted
run goes on, what was measured with other code is measured again. Progress goes to standard error, tables to standard
output; with --check the exit status is 1 where a target was measured and missed.
"""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.quality.measure import code_of, measure, open_log
from benchmarks.quality.plan import REAL_LOGS, Case, Filters, cases
from benchmarks.quality.processes import PROCESSES
from benchmarks.quality.report import as_json, print_report
from benchmarks.quality.results import ROOT, Result, append_results, read_results

OUT = ROOT / ".studyml" / "bench-quality.jsonl"
DATA = ROOT.parent / "shared" / "data"
_WIDTH = 130


def main() -> int:
    """Measure what is not there yet, and print the tables."""
    options = _options()
    warnings.filterwarnings("ignore")  # of libraries about one another; what counts is in the tables
    filters = Filters(options.processes, options.sizes, options.seeds, options.only, options.quick)
    progress_console = Console(stderr=True)
    wanted = _available(list(cases(filters)), options.data, progress_console)
    fingerprints: dict[bool, str] = {}
    known = {
        key: result
        for key, result in read_results(options.out).items()
        if options.any_code or result.code == code_of(result.predictor, fingerprints)
    }
    if not options.report_only:
        known |= _measure_all(wanted, options, set(known), progress_console)
    asked = {(case.process, case.size, case.seed) for case in wanted}
    results = [each for each in known.values() if each.key[:3] in asked and filters.wants(each.predictor)]
    order = (*PROCESSES, *REAL_LOGS)
    results.sort(key=lambda each: (order.index(each.process), each.size, each.seed))
    if options.json:
        options.json.write_text(json.dumps(as_json(results), indent=2) + "\n", encoding="utf-8")
    width = None if sys.stdout.isatty() else _WIDTH
    return 0 if print_report(Console(width=width), results) or not options.check else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__.splitlines()[0])
    names = (*PROCESSES, *REAL_LOGS)
    parser.add_argument("--quick", action="store_true", help="600 sessions, two seeds, the default recipe and peers")
    parser.add_argument("--processes", nargs="+", default=(), choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--sizes", nargs="+", type=int, default=(), help="training sessions, such as 600 10000")
    parser.add_argument("--seeds", type=int, help="seeds of each case, from 0")
    parser.add_argument("--only", nargs="+", default=(), help="predictors, such as auto mlp/guide 'catboost*'")
    parser.add_argument("--out", type=Path, default=OUT, help="file of results, one JSON document a line")
    parser.add_argument("--json", type=Path, help="write the tables to a file as well")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real logs")
    parser.add_argument("--report-only", action="store_true", help="print what is in --out, measure nothing")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a target was missed")
    parser.add_argument("--any-code", action="store_true", help="also use results that other code measured")
    return parser.parse_args()


def _available(wanted: Sequence[Case], data: Path, console: Console) -> list[Case]:
    """The cases whose log is on this machine; the others are named with the reason."""
    absent = [name for name in REAL_LOGS if not (data / name).is_dir()]
    for name in dict.fromkeys(case.process for case in wanted if case.process in absent):
        console.print(f"skipped {name}: the real log is not on this machine ({data / name}); --data names its folder")
    return [case for case in wanted if case.process not in absent]


def _measure_all(
    wanted: Sequence[Case], options: argparse.Namespace, known: set[tuple[str, int, int, str]], console: Console
) -> dict[tuple[str, int, int, str], Result]:
    made: dict[tuple[str, int, int, str], Result] = {}
    fingerprints: dict[bool, str] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=sum(case.cost for case in wanted))
        for case in wanted:
            name = f"{case.process} {case.size or ''} seed {case.seed}".replace("  ", " ")
            groups = tuple(
                group
                for group in case.groups
                if not all((case.process, case.size, case.seed, each) in known for each in group)
            )
            if groups:
                found = _measure_case(case, groups, options, lambda each: code_of(each, fingerprints))
                made |= {result.key: result for result in found}
                console.print(f"{name}: {_in_words(found)}", highlight=False, soft_wrap=True)
            progress.update(task, advance=case.cost, description=name)
    return made


def _measure_case(
    case: Case, groups: tuple[tuple[str, ...], ...], options: argparse.Namespace, code: Callable[[str], str]
) -> list[Result]:
    made: list[Result] = []
    for results in measure(case, open_log(case, options.data), groups, code):
        append_results(options.out, results)  # at once: what is measured survives an interruption
        made += results
    return made


def _in_words(results: Sequence[Result]) -> str:
    ratios = (f"{each.predictor} {'not fitted' if each.ratio is None else f'{each.ratio:.3f}'}" for each in results)
    return f"{', '.join(ratios)}; fitted in {sum(each.seconds for each in results):.0f} s"


if __name__ == "__main__":
    sys.exit(main())
