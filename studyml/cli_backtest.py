"""The command ``studyml backtest``: history night by night, as the system would have lived it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from studyml.errors import InputError
from studyml.settings import load_settings
from studyml.terminal import Json, hours, print_json, print_table, wall_clock


def backtest_command(
    first: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First night; default: when a network can be trained.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last night; default: when the last label has arrived.")
    ] = None,
    label_delay: Annotated[
        float, typer.Option(metavar="HOURS", min=0, max=24 * 365, help="How long after a session its label arrives.")
    ] = 24,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the report; default: backtest_FROM_TO.")
    ] = None,
    workspace: Annotated[
        str | None,
        typer.Option(metavar="URL", help="An empty database to live in; default: one is made beside ours."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew instead of going on.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the scratch database and the trained versions.")] = False,
    as_json: Json = False,
) -> None:
    """Rehearse: replay history night by night, and report alerts, promotions and errors as a page and as JSON.

    Reads the study app's tables once; touches nothing of ours and sends nothing. Stopped, the same command goes on.

    Example: studyml backtest --from 2026-01-01 --to 2026-02-28 --label-delay 24
    """
    from studyml.steps.backtest import backtest
    from studyml.steps.backtest_workspace import PAGE, Request

    settings, request = (
        load_settings(),
        Request(_date("--from", first), _date("--to", last), label_delay, out, workspace, restart),
    )
    with _quiet(), _bar() as progress:
        document, folder = backtest(settings, request, keep=keep, now=wall_clock(), progress=progress)
    if as_json:
        print_json(document)
        return
    _show(document)
    typer.echo(f"The report: {folder / PAGE}")


def _date(option: str, words: str | None) -> date | None:
    try:
        return None if words is None else date.fromisoformat(words)
    except ValueError:
        raise InputError(f"{option} '{words}' is not a date: write it as 2026-03-01.") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Every night would log a dozen lines; what matters of them is in the report."""
    logger = logging.getLogger("studyml")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Bar:
    """Nights on standard error: a bar with the time left, above it what is notable; without a terminal every night."""

    def __init__(self, shown: Any) -> None:
        self._shown, self._begun = shown, False
        self._task = shown.add_task("", total=None)

    def begin(self, nights: int, done: int) -> None:
        self._begun = True
        self._shown.reset(self._task, total=nights, completed=done)

    def step(self, words: str) -> None:
        self._shown.update(self._task, description=words)
        if not self._begun and not self._shown.console.is_terminal:
            self._say(words)

    def lived(self, line: str, *, notable: bool) -> None:
        self._shown.update(self._task, advance=1)
        if notable or not self._shown.console.is_terminal:
            self._say(line)

    def _say(self, line: str) -> None:
        self._shown.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _bar() -> Iterator[_Bar]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("nights"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True)) as shown:
        yield _Bar(shown)


def _show(document: dict[str, Any]) -> None:
    typer.echo("\n".join([document["headline"], *document["findings"]]))
    from studyml.reporting.backtest_words import ratio_words

    served = document["served"]
    if served["n"]:
        rows = [
            (part["month"], part["n"], *(hours(part[name]) for name in ("served", "median", "estimate")))
            for part in served["months"]
        ]
        rows.append(("all", served["n"], *(hours(served["mae"][name]) for name in ("served", "median", "estimate"))))
        print_table(("sessions of", "outcomes", "served", "median", "estimate"), rows)
    for each in document["incidents"]:
        until = "still open" if each["resolved_as_of"] is None else f"resolved {each['resolved_as_of'][:10]}"
        opened, since = each["opened_as_of"][:10], each["severity_since"][:10]
        urgency = each["severity"] if since == opened else f"{each['severity']} since {since}"
        typer.echo(f"{urgency}, opened {opened}, {until}: {each['title']}")
    rows = [
        (
            each["rule"],
            f"{ratio_words(each['ratio'])}{' (set)' if each['is_set'] else ''}",
            each["minimum_outcomes"],
            f"{each['above']} of {each['judged']}",
            len(each["opened"]),
            each["opened"][0][:10] if each["opened"] else None,
        )
        for each in document["thresholds"]
    ]
    print_table(("rule", "ratio", "outcomes needed", "nights above", "incidents", "first"), rows)
