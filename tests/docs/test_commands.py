"""Every command, make target, variable and file that the documentation names is there."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from studyml.cli import app
from studyml.contract import TABLES
from studyml.development.cli import dev_app
from studyml.settings import Settings
from tests.docs.documents import NAMES, ROOT, code_lines, code_spans, read, rows

PREFIX = re.compile(r"(?<![\w/.'-])(?:\.venv/bin/)?studyml (?=[a-z])")
#: Not for a reader of the README: behind make run, make up and make down.
BEHIND_MAKE = {"dev run", "dev up", "dev down"}


def root_command() -> Any:
    command: Any = typer.main.get_command(app)
    if "dev" not in command.commands:
        command.add_command(typer.main.get_command(dev_app), "dev")
    return command


def commands_in(code: str) -> Iterator[list[str]]:
    """The words after ``studyml`` of each command in a piece of code."""
    for match in PREFIX.finditer(code):
        lexer = shlex.shlex(code[match.end() :], posix=True, punctuation_chars=")#;|>")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = []
        for word in lexer:
            if set(word) <= set(")#;|>"):
                break
            words.append(word)
        yield words


def parse(words: list[str], *, whole: bool) -> str:
    """Resolve a command with its options, and return its name; arguments may be left out where not ``whole``."""
    command, path = root_command(), []
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest and path and not whole:
            return " ".join(path)  # a whole group of commands
        assert rest, f"studyml {' '.join(words)} names no command"
        assert rest[0] in command.commands, f"there is no command studyml {' '.join([*path, rest[0]])}"
        path.append(rest[0])
        command = command.commands[rest.pop(0)]
    try:
        command.make_context("studyml", rest)
    except Exception as error:
        missing = type(error).__name__ == "MissingParameter"
        if whole or not missing:
            raise AssertionError(f"studyml {' '.join(words)}: {error}") from error
    return " ".join(path)


def every_command() -> Iterator[str]:
    def walk(command: Any, path: list[str]) -> Iterator[str]:
        for name, child in command.commands.items():
            if hasattr(child, "commands"):
                yield from walk(child, [*path, name])
            else:
                yield " ".join([*path, name])

    yield from walk(root_command(), [])


@pytest.mark.parametrize("name", NAMES)
def test_commands_parse(name: str) -> None:
    for line in code_lines(name):
        for words in commands_in(line):
            parse(words, whole=True)
    for span in code_spans(name):
        for words in commands_in(span):
            parse(words, whole=False)


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert list(commands_in('psql "$(.venv/bin/studyml dev postgres url)" # now')) == [["dev", "postgres", "url"]]
    assert list(commands_in("docker compose exec worker studyml night --as-of 2026-03-01  # why")) == [
        ["night", "--as-of", "2026-03-01"]
    ]
    for words in (["nite"], ["night", "--until", "2026"], ["versions", "show"]):
        with pytest.raises(AssertionError):
            parse(words, whole=True)


def test_the_readme_names_every_command() -> None:
    named = {parse(words, whole=False) for code in code_spans("README.md") for words in commands_in(code)} | {
        f"dev postgres {span}" for span in code_spans("README.md") if span in ("stop", "url")
    }
    assert named >= set(every_command()) - BEHIND_MAKE


def test_the_commands_that_messages_and_errors_name_parse() -> None:
    files = [path for folder in ("studyml", "plugins", "docker") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [
        command for path in files for command in re.findall(r"'(studyml [a-z][^'{}\n]*)'", path.read_text("utf-8"))
    ]
    assert len(found) > 10
    for command in found:
        for words in commands_in(command):
            parse(words, whole=False)


@pytest.mark.parametrize("name", NAMES)
def test_make_targets_and_their_variables_exist(name: str) -> None:
    makefile = read("Makefile")
    targets = set(re.findall(r"^([a-z][a-zA-Z.-]*):", makefile, flags=re.MULTILINE))
    for code in [*code_lines(name), *code_spans(name)]:
        for words in re.findall(r"(?:^|[\s;])make ([^#;]+)", code):
            for word in words.split():
                variable = re.fullmatch(r"([A-Z_]+)=\S*", word)
                known = f"$({variable[1]})" in makefile if variable else word in targets
                assert known, f"make {word}"


@pytest.mark.parametrize("name", NAMES)
def test_variables_exist(name: str) -> None:
    known = {f"STUDYML_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"(?<![A-Z_])STUDYML_[A-Z_]*[A-Z]", read(name))) <= known
    example = set(re.findall(r"^#?([A-Z_]+)=", read(".env.example"), flags=re.MULTILINE))
    compose = set(re.findall(r"(?<![A-Z_])AIRFLOW_(?!_|CONN_)[A-Z_]+", read(name)))
    assert compose <= example


@pytest.mark.parametrize("name", NAMES)
def test_files_exist(name: str) -> None:
    for span in code_spans(name):
        if re.fullmatch(r"(studyml|dags|plugins|docs|docker|tests)/[\w./-]*", span):
            assert (ROOT / span).exists(), span


def test_the_csv_headers_are_those_of_the_contract() -> None:
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows(read("README.md")) if row[0].endswith(".csv`")}
    for table, columns in TABLES.items():
        assert set(documented[f"{table}.csv"].split(",")) == {column.header for column in columns}, table
