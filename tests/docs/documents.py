"""Reads the documentation: its code, tables, headings and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATHS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
NAMES = [path.relative_to(ROOT).as_posix() for path in PATHS]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_MARK = re.compile(r"<!-- (\w+): (\w+) -->\n$")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the word of the comment above it (or nothing), its code."""

    language: str
    mark: str
    code: str


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[Block]:
    """The fenced blocks of a language, in order."""
    text, found = read(name), []
    for match in _FENCE.finditer(text):
        if match["language"] == language:
            mark = _MARK.search(text[: match.start()])
            code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
            found.append(Block(language, mark[2] if mark else "", code))
    return found


def marked(name: str, mark: str) -> str:
    """The code of the one block with this mark."""
    [block] = [each for language in ("sql", "yaml") for each in blocks(name, language) if each.mark == mark]
    return block.code


def code_lines(name: str) -> Iterator[str]:
    """The lines of indented blocks: what a person types."""
    text = _FENCE.sub("", read(name))
    previous_is_code, previous_is_empty = False, True
    for line in text.splitlines():
        is_code = line.startswith("    ") and (previous_is_code or previous_is_empty)
        if is_code:
            yield line.strip()
        previous_is_code, previous_is_empty = is_code or (previous_is_code and not line.strip()), not line.strip()


def code_spans(name: str) -> list[str]:
    """The text between backticks."""
    spans: list[str] = re.findall(r"`([^`\n]+)`", _FENCE.sub("", read(name)))
    return spans


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of each table."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def anchors(name: str) -> set[str]:
    """The anchors of a file's headings, made the way GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", read(name)), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(name: str) -> list[str]:
    found: list[str] = _LINK.findall(_FENCE.sub("", read(name)))
    return found
