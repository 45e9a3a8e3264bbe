"""What the commands share: the clock, the options, and printing. Results go to stdout, all else to stderr."""

import getpass
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from studyml.contract import EARLIEST, LABEL_FUTURE_HOURS
from studyml.errors import InputError

AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Night to act for, ISO time, UTC unless it says; default: now.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
By = Annotated[str | None, typer.Option(help="Who decides it, for the record; default: your login.")]

_MEANT = {"--as-of": "night", "--at": "time"}
#: A row that goes to a file or to grep stays one line.
_PIPED_WIDTH = 250
_LONGEST_NAME = 100


def wall_clock() -> datetime:
    """Now, UTC: read once by each command and passed down."""
    return datetime.now(UTC)


def parse_as_of(as_of: str | None, now: datetime, *, option: str = "--as-of") -> datetime:
    """The night that is meant, UTC; raises InputError where it is no time, or one that no night can have.

    A night of the distant future, once finished, would turn every real one after it into a replay.
    """
    if as_of is None:
        return now
    try:
        moment = datetime.fromisoformat(as_of)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{option} '{as_of}' is not a time: write it as 2026-03-01 or 2026-03-01T01:00+00:00."
        ) from None
    if not EARLIEST <= moment <= now + timedelta(hours=LABEL_FUTURE_HOURS):
        raise InputError(
            f"{option} '{as_of}' is not a {_MEANT[option]} that was: give one from {EARLIEST.year} up to now."
        )
    return moment


def said(option: str, words: str) -> str:
    """What a person gave for the record, as one line; raises InputError where it is blank or no text."""
    line = " ".join(words.split())
    if not line:
        raise InputError(f"{option} is blank: say in a few words what the record should hold.")
    if not line.isprintable():
        raise InputError(f"{option} holds characters that are no text: write it in UTF-8.")
    return line


def who(by: str | None) -> str:
    """Who is on record for what a command does: the name that was given, else the login.

    Raises InputError where the name is blank, too long or an e-mail address, or where there is no login, as for a bare
    user id in a container.
    """
    if by is not None:
        name = said("--by", by)
        if len(name) > _LONGEST_NAME:
            raise InputError(f"--by holds {len(name)} characters: give a name of at most {_LONGEST_NAME}.")
        if "@" in name:
            raise InputError("--by holds an e-mail address, which no record keeps: give a name.")
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise InputError("your login has no name on this machine: say who you are with --by NAME.") from None


def say(line: str) -> None:
    """Tell the person at the terminal how far the work is."""
    typer.echo(line, err=True)


def print_json(document: Any) -> None:
    """Print one JSON document; a number that JSON does not have becomes null."""
    typer.echo(json.dumps(_finite(document), indent=2, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headers; None is an empty cell."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(*headers, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else escape(str(value)) for value in row))
    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)


def hours(value: float | None) -> str:
    """An error for a person, in hours."""
    return "–" if value is None else f"{value:.3f} h"


def share(value: float | None) -> str:
    """A share from 0 to 1 for a person, in percent."""
    return "–" if value is None else f"{value:.0%}"


def times(value: float | None) -> str:
    """A ratio for a person."""
    return "–" if value is None else f"{value:.2f} x"


def utc_time(moment: datetime) -> str:
    """An instant for a person, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def utc_day(moment: datetime | None) -> str:
    """A date for a person."""
    return "–" if moment is None else f"{moment:%Y-%m-%d}"
