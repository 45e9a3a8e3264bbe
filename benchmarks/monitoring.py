"""One night of observing and judging over ledgers of 100,000 to 10 million outcomes: only what is new may count.

    .venv/bin/python -m benchmarks.monitoring [--quick] [--rounds 5] [--json FILE]

Every ledger has lived nights of 2,000 new labels, some late ones and some corrections, and the source holds as many
sessions (``ledger_of_years``), and a published version (``ledger_version``): drift is looked for, and the slices that
were served worst. By turns each lives another such day, then ``observe`` and ``monitor`` run in a process of their own;
imports are not counted. The goal, a night over the largest ledger at most twice as long as over the
smallest, is for a source with the recommended index on session_date; the rounds without it show what the index is
worth. ``--compare-all`` also times the weekly comparison of everything. An embedded PostgreSQL with its default memory
is started for it and removed afterwards; the full run takes some 15 GB of disk meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
from rich.console import Console
from rich.table import Table

from benchmarks.ledger_of_years import END, HORIZON_DAYS, INDEX, KEPT_NIGHTS, PER_NIGHT, build, live_a_day
from benchmarks.ledger_version import publish_version
from studyml.development import postgres

SIZES, QUICK_SIZES = (100_000, 1_000_000, 10_000_000), (100_000, 300_000)
GOAL_RATIO = 2.0
# Nothing of it has to survive a power cut, and nobody else is served.
_SERVER = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "4GB"}
_STEPS = ("observe", "monitor")


@dataclass(frozen=True)
class Ledger:
    """One ledger's database, and the folder of its version."""

    url: str
    artifacts: Path


def one_night(as_of: datetime, compare_all: bool) -> None:
    """Run the steps here, and print their seconds and this process's peak memory in MB."""
    import resource

    from studyml.settings import load_settings
    from studyml.steps.monitor import monitor
    from studyml.steps.observe import observe

    settings = load_settings(scoring_horizon_days=HORIZON_DAYS, prediction_retention_days=KEPT_NIGHTS)
    started = time.perf_counter()
    counts = observe(settings, as_of=as_of, now=as_of, compare_all=compare_all)
    observed = time.perf_counter()
    verdict = monitor(settings, as_of=as_of, now=as_of)[0]
    ended = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"observe": observed - started, "monitor": ended - observed, "peak_mb": peak}
    print(json.dumps({**figures, **counts, **looked_at(verdict)}))


def looked_at(verdict: dict[str, Any]) -> dict[str, Any]:
    """What a night looked at; raises AssertionError where it left anything out: its seconds would be those of less."""
    drift = verdict["drift"]
    if drift is None or "error" in drift:
        raise AssertionError(f"drift was not looked for: {drift}")
    if min(drift["compared"], drift["predictions"]) < PER_NIGHT:
        raise AssertionError(f"drift saw {drift['compared']} sessions and {drift['predictions']} predictions only")
    if not verdict["n"] or verdict["worst_slices"] is None:
        raise AssertionError("no served outcome was looked at for the slices")
    if verdict["error_ratio"] is None:
        raise AssertionError("the version's own errors were not weighed")
    used = {name: verdict[name] for name in ("n", "coverage", "verdict")}
    return used | {"compared": drift["compared"], "moved": drift["moved"], "slices": len(verdict["worst_slices"])}


def run(ledger: Ledger, as_of: datetime, *options: str) -> dict[str, Any]:
    """``one_night`` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.monitoring", "--night", as_of.isoformat(), *options]
    environment = {**os.environ, "STUDYML_DATABASE_URL": ledger.url, "STUDYML_ARTIFACT_ROOT": str(ledger.artifacts)}
    found = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(found.splitlines()[-1])
    return result


def measure(
    ledgers: Mapping[int, Ledger], rounds: int, indexed: bool, progress: Console, first: int
) -> list[dict[str, Any]]:
    """Live ``rounds`` days over every ledger, by turns; the figures of each night."""
    figures = []
    for number in range(first, first + rounds):
        for size, ledger in ledgers.items():
            live_a_day(ledger.url, size, number)
            found = run(ledger, END + timedelta(days=number))
            figures.append({"outcomes": size, "indexed": indexed, **found})
            progress.print(
                f"{size:>10,} outcomes, {'with' if indexed else 'without'} index: observe {found['observe']:.2f} s"
                f" ({found['new']} new, {found['corrected']} corrected), monitor {found['monitor']:.2f} s"
                f" ({found['verdict']}, n {found['n']}, {found['compared']} compared for drift)",
                style="dim",
                highlight=False,
                soft_wrap=True,
            )
    return figures


def execute(url: str, statement: str) -> None:
    """One statement outside a transaction."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def summarise(figures: Sequence[dict[str, Any]], indexed: bool) -> list[dict[str, Any]]:
    """The medians of each size, and their ratio to the smallest."""
    rows: list[dict[str, Any]] = []
    for size in sorted({each["outcomes"] for each in figures}):
        chosen = [each for each in figures if each["outcomes"] == size and each["indexed"] is indexed]
        medians = {name: statistics.median(each[name] for each in chosen) for name in _STEPS}
        night = statistics.median(sum(each[name] for name in _STEPS) for each in chosen)
        rows.append({"outcomes": size, **medians, "night": night, "peak_mb": max(each["peak_mb"] for each in chosen)})
    return [{**row, "ratio": row["night"] / rows[0]["night"]} for row in rows]


def show(rows: Sequence[dict[str, Any]], title: str, console: Console) -> None:
    """One table."""
    table = Table("outcomes", "observe, s", "monitor, s", "both, s", "to the smallest", "peak, MB", title=title)
    for row in rows:
        seconds = [f"{row[name]:.2f}" for name in (*_STEPS, "night")]
        table.add_row(f"{row['outcomes']:,}", *seconds, f"{row['ratio']:.2f} x", f"{row['peak_mb']:.0f}")
    console.print(table)


def _prepared(server: postgres.Server, root: Path, size: int, nights_to_come: int, progress: Console) -> Ledger:
    """Build one ledger and publish its version."""

    def tell(words: str) -> None:
        progress.print(words, style="dim", highlight=False, soft_wrap=True)

    started = time.perf_counter()
    postgres.create_database(server, f"ledger_{size}")
    ledger = Ledger(server.url(f"ledger_{size}"), root / f"artifacts_{size}")
    build(ledger.url, size, nights_to_come=nights_to_come, progress=tell)
    publish_version(ledger.url, ledger.artifacts)
    tell(f"built a ledger of {size:,} outcomes in {time.perf_counter() - started:.0f} s")
    return ledger


def benchmark(sizes: Sequence[int], rounds: int, compare_all: bool, progress: Console) -> list[dict[str, Any]]:
    """Build every ledger, measure with the index and without, and remove all again."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        server = postgres.start(root / "postgres", settings=_SERVER)
        try:
            ledgers = {size: _prepared(server, root, size, 2 * rounds + 3, progress) for size in sizes}
            measure(ledgers, 1, True, progress, first=1)  # warms the caches
            figures = measure(ledgers, rounds, True, progress, first=2)
            for ledger in ledgers.values():
                execute(ledger.url, "DROP INDEX study_sessions_session_date")
            figures += measure(ledgers, rounds, False, progress, first=rounds + 2)
            for size, ledger in ledgers.items() if compare_all else ():
                execute(ledger.url, INDEX)
                found = run(ledger, END + timedelta(days=2 * rounds + 2), "--compare-all")
                progress.print(
                    f"everything compared, {size:,} outcomes: {found['observe']:.1f} s, {found['peak_mb']:.0f} MB"
                )
        finally:
            postgres.remove(root / "postgres")
    return figures


def main() -> None:
    """Parse the arguments, measure, print; exit status 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 300,000 outcomes, two rounds")
    parser.add_argument("--rounds", type=int, help="nights measured over each ledger (default 5)")
    parser.add_argument("--compare-all", action="store_true", help="also time the comparison of everything")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--night", type=datetime.fromisoformat, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.night is not None:
        one_night(given.night, given.compare_all)
        return
    sizes, rounds = (QUICK_SIZES, given.rounds or 2) if given.quick else (SIZES, given.rounds or 5)
    figures = benchmark(sizes, rounds, given.compare_all, Console(stderr=True))
    console, with_index = Console(), summarise(figures, indexed=True)
    show(with_index, "a night, with the index on session_date", console)
    show(summarise(figures, indexed=False), "the same without the index", console)
    good = with_index[-1]["ratio"] <= GOAL_RATIO
    console.print(
        f"within {GOAL_RATIO:.0f} x from the smallest to the largest, with the index: {'PASS' if good else 'FAIL'}"
    )
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
