"""Reads docker-compose.yaml the way Docker Compose does, as far as this project's file goes, without Docker."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
_VARIABLE = re.compile(
    r"(?P<escaped>\$\$)|\$\{(?P<name>[A-Z_][A-Z0-9_]*)(?:(?P<operator>:-|:\?)(?P<rest>[^{}]*))?\}|(?P<wrong>\$)"
)


class MissingVariableError(Exception):
    """A variable that the file requires is unset or empty; the message is the file's own sentence."""


@dataclass(frozen=True)
class Reference:
    """One ``${NAME:-default}`` or ``${NAME:?sentence}``; ``operator`` is None for a bare ``${NAME}``."""

    name: str
    operator: str | None
    rest: str


def read_compose() -> dict[str, Any]:
    """The file with its anchors merged and its variables not yet replaced."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yaml").read_text())
    return document


def texts(node: Any) -> Iterator[str]:
    """All text values below ``node``."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def references(node: Any) -> Iterator[Reference]:
    """All variables that the text below ``node`` refers to."""
    for text in texts(node):
        for match in _VARIABLE.finditer(text):
            if match["wrong"]:
                raise ValueError(f"a lone $ in {text!r}: write $$")
            if match["name"]:
                yield Reference(match["name"], match["operator"], match["rest"] or "")


def resolve(node: Any, variables: Mapping[str, str]) -> Any:
    """Replace the variables below ``node``; raises MissingVariableError for one that is required and empty."""
    if isinstance(node, dict):
        return {key: resolve(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [resolve(value, variables) for value in node]
    return _VARIABLE.sub(lambda match: _value(match, variables), node) if isinstance(node, str) else node


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match["escaped"]:
        return "$"
    value = variables.get(match["name"], "")
    if not value and match["operator"] == ":?":
        raise MissingVariableError(match["rest"])
    return value or (match["rest"] if match["operator"] == ":-" else "")


@dataclass(frozen=True)
class ExampleLine:
    """One variable of ``.env.example``: the comment above it, its value, and whether it is commented out."""

    comment: str
    value: str
    commented_out: bool


def read_example() -> dict[str, ExampleLine]:
    """The variables of ``.env.example``, each with the comment lines directly above it."""
    found: dict[str, ExampleLine] = {}
    comment: list[str] = []
    for line in (REPOSITORY / ".env.example").read_text().splitlines():
        if match := re.fullmatch(r"(#?)([A-Z][A-Z0-9_]*)=(.*)", line):
            if match[2] in found:
                raise ValueError(f"{match[2]} stands twice in .env.example")
            found[match[2]] = ExampleLine(" ".join(comment), match[3], bool(match[1]))
            comment = []
        elif line.startswith("# ") and not line.startswith("# ---"):
            comment.append(line[2:])
        elif not line:
            comment = []
        elif not line.startswith("# ---"):
            raise ValueError(f"neither a variable, a comment nor empty: {line!r}")
    return found


def load_script(name: str) -> ModuleType:
    """Import ``docker/NAME.py``, which is a script of the image and not part of the package."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docker" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
