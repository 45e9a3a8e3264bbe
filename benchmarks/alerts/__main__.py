"""How often alerts ring for nothing, and how soon for something: what ``make bench-alerts`` prints.

    .venv/bin/python -m benchmarks.alerts [--quick] [--years 400] [--logs guide kaist] [--rates 2 20]
        [--json FILE] [--check]

Years are simulated from real errors (errors.py) that arrive evenly or in bursts (arrivals.py), judged every night by
the guide's rule, by ours and by two detectors of river (measure.py). Progress goes to standard error, tables to
standard output; with --check the exit status is 1 where a target was missed.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks.alerts.arrivals import ARRIVALS
from benchmarks.alerts.detectors import OURS, peers_at_hand
from benchmarks.alerts.errors import GUIDE, REAL_LOGS, ErrorPool, guides_errors, real_errors
from benchmarks.alerts.measure import KINDS, RATES, Case, Found, measure
from benchmarks.alerts.oracle import Oracle, oracle
from benchmarks.alerts.report import LARGE, LATEST, MOST_FALSE_ALARMS, print_report, targets

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
YEARS, QUICK_YEARS = 400, 20
_WIDTH = 130


def main() -> int:
    """Measure and print."""
    options = _options()
    progress = Console(stderr=True)
    peers = peers_at_hand()
    if not peers:
        progress.print("skipped the peers: river is not installed")
    years = options.years or (QUICK_YEARS if options.quick else YEARS)
    cells: dict[Case, dict[str, Found]] = {}
    oracles: list[Oracle] = []
    for pool in _pools(options.logs, options.data, progress):
        for arrivals in ARRIVALS:
            for rate in options.rates:
                case = Case(pool.name, arrivals, rate)
                cells[case] = measure(pool, case, years=years, seed=options.seed, peers=peers)
                oracles += [
                    oracle(pool, case, kind, LARGE, alarms_a_year=MOST_FALSE_ALARMS, years=years, seed=options.seed)
                    for kind in KINDS
                    if rate in LATEST
                ]
                done = f"{pool.name}, {arrivals}, {rate:g} a day: {cells[case][OURS].years} years"
                progress.print(done, style="dim", highlight=False)
    reached = print_report(Console(width=None if sys.stdout.isatty() else _WIDTH), cells, oracles)
    if options.json:
        options.json.write_text(json.dumps(_as_json(cells, oracles), indent=2) + "\n", encoding="utf-8")
    return 1 if options.check and not reached else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__.splitlines()[0])
    names = (GUIDE, *REAL_LOGS)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_YEARS} years of each")
    parser.add_argument("--years", type=int, help=f"years of each log, pattern and rate, at most (default {YEARS})")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn")
    parser.add_argument("--logs", nargs="+", default=names, choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--rates", nargs="+", type=float, default=RATES, help="labelled sessions a day")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real logs")
    parser.add_argument("--json", type=Path, help="write the figures to a file as well")
    parser.add_argument("--check", action="store_true", help="exit status 1 where a target was missed")
    return parser.parse_args()


def _pools(names: list[str], data: Path, progress: Console) -> list[ErrorPool]:
    absent = [name for name in names if name in REAL_LOGS and not (data / name).is_dir()]
    for name in absent:
        progress.print(f"skipped {name}: the real log is not on this machine ({data / name}); --data names its folder")
    present = [name for name in names if name not in absent]
    return [guides_errors() if name == GUIDE else real_errors(data / name) for name in present]


def _as_json(cells: dict[Case, dict[str, Found]], oracles: list[Oracle]) -> dict[str, object]:
    listed = [(case, name, found) for case, rules in cells.items() for name, found in rules.items()]
    return {
        "cells": [{**asdict(case), "rule": name, **found.to_json()} for case, name, found in listed],
        "targets": [asdict(each) for each in targets(cells, oracles)],
        "oracles": [asdict(each) for each in oracles],
    }


if __name__ == "__main__":
    sys.exit(main())
