"""One database for all tests of loading in a file, and what a load of a folder leaves in it."""

from pathlib import Path

import pytest

from studyml.errors import StudymlError
from studyml.settings import Settings
from studyml.steps.load import Loaded, load
from tests.conftest import NOW, silent
from tests.logs import ask


@pytest.fixture
def database_url(shared_url: str) -> str:
    """The same database for all tests of a file, empty for each."""
    ask(shared_url, "DROP TABLE IF EXISTS study_sessions, students, topics")
    ask(shared_url, "TRUNCATE studyml.quarantined_rows")
    return shared_url


def load_folder(settings: Settings, folder: Path) -> Loaded:
    return load(settings, folder, now=NOW, progress=silent)


def refusal(settings: Settings, folder: Path) -> str:
    """The sentence with which a load is refused; it must be one, and nothing may be stored."""
    with pytest.raises(StudymlError) as caught:
        load_folder(settings, folder)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert ". " not in message.rstrip(".").replace("…. ", "")
    assert ask(settings.source, "SELECT to_regclass('public.students')") == [(None,)]
    assert ask(settings.database, "SELECT count(*) FROM studyml.quarantined_rows") == [(0,)]
    return message


def quarantined(settings: Settings) -> list[tuple[str, str, str, str]]:
    """(source, row, column, reason) of all quarantined rows."""
    query = "SELECT source, row_id, column_name, reason FROM studyml.quarantined_rows ORDER BY source, row_id::bigint"
    return [(str(a), str(b), str(c), str(d)) for a, b, c, d in ask(settings.database, query)]


def stored(settings: Settings, columns: str, table: str = "study_sessions") -> list[tuple[object, ...]]:
    return ask(settings.source, f"SELECT {columns} FROM public.{table} ORDER BY id")
