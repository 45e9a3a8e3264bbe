"""How often a change of level is seen where there is none, how soon where there is one, and what following it brings.

    .venv/bin/python -m benchmarks.level [--quick] [--data FOLDER]

Where there is none: logs of every data process of ``make bench-quality`` (``drifting`` does change), and both real logs
as they grow, 100 sessions at a time. Where there is one: years of the guide's process, ten sessions a day, that take
longer or shorter from one day on; each night after it looks again. What it brings: the mean absolute error over the 30
days after such a night, of the default portfolio, with changes followed and ignored, beside the error before the change
times its factor, which is what can be had.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.quality.frames import LABEL, labelled_frame, read_tables
from benchmarks.quality.log import simulated_log
from benchmarks.quality.ours import HOLDOUT_SHARE, auto_recipes
from benchmarks.quality.processes import PROCESSES
from studyml.features.history import history_from_log
from studyml.frame import Frame, to_microseconds
from studyml.simulation import Simulation, simulate
from studyml.steps.fit_portfolio import fit_portfolio
from studyml.steps.fit_recipe import limited, predict_hours
from studyml.steps.newest_level import Split, split_rows, with_newest_level

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
REAL_LOGS = ("kaist", "toggl_student")
SIZES = (600, 2000)
END = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, CHANGE_DAY, A_DAY, STUDENTS, JUDGED_DAYS = 365, 240, 10, 60, 30
FACTORS = (0.7, 1.2, 1.4)
NIGHTS = (10, 15, 40)
_DAY, _HOUR = 86_400_000_000, 3_600_000_000


def split(frame: Frame, *, follow: bool = True) -> Split:
    """What a retraining would make of the labelled rows, oldest first."""
    return split_rows(frame, holdout_fraction=HOLDOUT_SHARE, follow=follow)


def by_time(frame: Frame) -> Frame:
    """The rows as a retraining reads them: oldest first."""
    return frame.take(np.argsort(frame["session_date"], kind="stable"))


def false_alarms(seeds: int) -> Iterator[tuple[str, str, int, int]]:
    """For each process and size: its name, the sessions, in how many logs a change was seen, of how many."""
    for process in PROCESSES:
        for size in SIZES:
            logs = [by_time(simulated_log(process, size, seed).training) for seed in range(seeds)]
            yield process, f"{size:,}", sum(bool(split(log).changes) for log in logs), seeds


def real_alarms(folder: Path) -> tuple[str, str, int, int]:
    """The same for a real log at every 100 sessions from 200 on."""
    frame = by_time(labelled_frame(read_tables(folder)))
    ends = range(200, len(frame) + 1, 100)
    seen = sum(bool(split(frame.take(np.arange(end))).changes) for end in ends)
    return folder.name, f"200 to {len(frame):,}", seen, len(ends)


def changed_year(factor: float, seed: int) -> tuple[Frame, int]:
    """A year of the guide's process that changes on its day 240, with histories; and that day, microseconds."""
    plan = Simulation(A_DAY * DAYS, STUDENTS, DAYS, seed=seed, shift=factor, shift_day=CHANGE_DAY)
    frame = by_time(labelled_frame(simulate(plan, END)))
    ended = frame["session_date"].astype(np.int64) + (frame[LABEL] * _HOUR).astype(np.int64)
    return history_from_log(frame, ended), to_microseconds(END) - (DAYS - CHANGE_DAY) * _DAY


def nights_until_seen(frame: Frame, day: int) -> float:
    """Nights after the change until a training sees a change within two days of it; infinite after 60."""
    dates = frame["session_date"].astype(np.int64)
    for night in range(1, 61):
        found = split(frame.take(dates < day + night * _DAY)).changes
        if found and abs(to_microseconds(found[-1].since) - day) <= 2 * _DAY:
            return night
    return float("inf")


def errors_after(frame: Frame, day: int, night: int, *, follow: bool) -> float:
    """MAE in hours over 30 days of the portfolio as trained so many nights after the change."""
    dates = frame["session_date"].astype(np.int64)
    now = day + night * _DAY
    known, later = frame.take(dates < now), frame.take((dates >= now) & (dates < now + JUDGED_DAYS * _DAY))
    found = split(known, follow=follow)
    chosen, _ = fit_portfolio(with_newest_level(known, found.changes).take(~found.held), auto_recipes(42))
    if chosen.fitted is None:
        raise AssertionError("the chosen entry of a portfolio is trained")
    return float(np.abs(later[LABEL].astype(np.float64) - limited(predict_hours(chosen.fitted, later))).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="5 logs of each process, one year of each change")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the real logs")
    options = parser.parse_args()
    console, progress = Console(width=100), Console(stderr=True)
    seeds, years = (5, 1) if options.quick else (20, 5)
    rows: list[Any] = []
    for row in false_alarms(seeds):
        rows.append(row)
        progress.print(*row, style="dim")
    for name in REAL_LOGS:
        if (options.data / name).is_dir():
            rows.append(real_alarms(options.data / name))
        else:
            progress.print(f"skipped {name}: the real log is not on this machine; --data names its folder")
    console.print(_table("A change seen", ("log", "sessions", "seen in", "of"), rows))
    soon = []
    for factor in FACTORS:
        nights = [nights_until_seen(*changed_year(factor, seed)) for seed in range(years)]
        soon.append((f"times {factor}", f"{np.median(nights):g}", f"{max(nights):g}"))
    console.print(_table("Nights until it is seen within two days of its day", ("change", "median", "most"), soon))
    _print_gain(console, progress, min(years, 3))


def _print_gain(console: Console, progress: Console, years: int) -> None:
    factor, rows = FACTORS[-1], []
    logs = [changed_year(factor, seed) for seed in range(years)]
    possible = float(np.mean([factor * errors_after(*log, -JUDGED_DAYS, follow=False) for log in logs]))
    for night in NIGHTS:
        means = [float(np.mean([errors_after(*log, night, follow=follow) for log in logs])) for follow in (False, True)]
        rows.append((f"{night} nights", *(f"{each:.2f}" for each in (*means, possible))))
        progress.print(*rows[-1], style="dim")
    titles = ("trained after", "ignored, h", "followed, h", "before the change, times it, h")
    console.print(_table(f"MAE over the 30 days after, sessions take {factor} times as long", titles, rows))


def _table(title: str, titles: tuple[str, ...], rows: list[Any]) -> Table:
    table = Table(title=title, title_justify="left")
    for number, each in enumerate(titles):
        table.add_column(each, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*map(str, row))
    return table


if __name__ == "__main__":
    main()
