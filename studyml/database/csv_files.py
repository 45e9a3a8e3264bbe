"""The CSV files of an import, before PostgreSQL reads them: their headers, and where a record stands."""

import csv
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from studyml.contract import TABLES
from studyml.errors import InputError

Progress = Callable[[str, float], None]

_TELL_SECONDS = 1.0
_LONGEST_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class CsvFile:
    """A file with a usable header; the header takes ``header_bytes`` and ``header_lines``."""

    path: Path
    headers: tuple[str, ...]
    header_bytes: int
    header_lines: int

    def line_of(self, record: int) -> int:
        """The line on which a record starts; records count from 1 after the header, lines from 1 with it."""
        with self.path.open("rb") as file:
            file.seek(self.header_bytes)
            for number, (line, _) in enumerate(_records(file), start=1):
                if number == record:
                    return self.header_lines + line
        raise ValueError(f"{self.path} has no record {record}")

    def line_of_copy(self, number: int) -> int:
        """The line on which the record starts that COPY reports as its line ``number``.

        COPY counts from 1 after the header, and inside quotes one kind of line break only: that of the first row.
        """
        counted, start = 0, 0
        with self.path.open("rb") as file:
            file.seek(self.header_bytes)
            for line, record in _records(file):
                if not counted:
                    line_break = b"\r" if record.endswith(b"\r\n") else b"\n"
                start, counted = line, counted + 1 + record.rstrip(b"\r\n").count(line_break)
                if counted >= number:
                    break
        return self.header_lines + start


def open_csv(directory: Path, table: str) -> CsvFile:
    """Read the header of ``table``.csv; raises InputError naming the file or column that is missing or there twice."""
    path = directory / f"{table}.csv"
    try:
        if not path.exists():
            raise InputError(
                f"{path} does not exist: the folder must hold students.csv, topics.csv and study_sessions.csv."
            )
        with path.open("rb") as file:
            _, raw = next(_records(file), (1, b""))
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check that it is a file you may read.") from None
    names = _names(path.name, raw)
    for column in TABLES[table]:
        if column.header not in names:
            hint = "separate the columns by commas" if ";" in names[0] else "add it to the header (values may be empty)"
            raise InputError(f"{path.name} has no column {column.header}: {hint}.")
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise InputError(f"{path.name} has the column {twice[0]} twice: keep one of them.")
    return CsvFile(path, names, len(raw), raw.count(b"\n"))


def _names(file: str, raw: bytes) -> tuple[str, ...]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file} line 1 is not UTF-8 text: save the file as CSV in UTF-8.") from None
    if not text.strip():
        raise InputError(f"{file} is empty: its first line must name the columns.")
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error:
        rows = []
    if len(rows) != 1:
        raise InputError(f"{file} has no readable header: save the file as CSV in UTF-8, each row on a line.")
    return tuple(name.strip() for name in rows[0])


def _records(file: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """(line on which it starts, bytes) of each record: a line break inside quotes does not end it."""
    record, quotes, start = b"", 0, 1
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_HEADER_BYTES), b""), start=1):
        record, quotes = record + line, quotes + line.count(b'"')
        if quotes % 2 == 0 or len(record) > _LONGEST_HEADER_BYTES:
            yield start, record
            record, quotes, start = b"", 0, number + 1
    if record:
        yield start, record


class CountingReader(io.RawIOBase):
    """Reads what follows the header, and tells how far it is as a share of the bytes."""

    def __init__(self, file: CsvFile, progress: Progress) -> None:
        super().__init__()
        self._file, self._name, self._progress = file.path.open("rb"), file.path.name, progress
        self._file.seek(file.header_bytes)
        self._size, self._done, self._told = max(file.path.stat().st_size, 1), file.header_bytes, time.monotonic()

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes at most."""
        piece = self._file.read(size)
        self._done += len(piece)
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self._told = time.monotonic()
            self._progress(self._name, self._done / self._size)
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
