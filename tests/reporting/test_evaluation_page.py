"""The page of an evaluation: whole in one file, harmless whatever the source holds, and readable by everyone."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from studyml.reporting.evaluation_page import evaluation_page
from studyml.steps.evaluation_report import JSON, PAGE, write_evaluation
from tests.steps.evaluated import NASTY, build_folder

VOID = {"meta", "br", "img", "link", "input"}


class Reader(HTMLParser):
    """What a browser sees: elements with their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("version")
    write_evaluation(path, *build_folder(path, nasty=True))
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Reader:
    return read((folder / PAGE).read_text(encoding="utf-8"))


@pytest.fixture
def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / JSON).read_text())
    return found


def test_it_needs_nothing_from_outside_and_runs_nothing(page: Reader) -> None:
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "link", "iframe", "object", "img", "form"})
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in ("href", "src", "xlink:href"):
                assert (value or "").startswith("#")
            if name == "style":
                assert "url(" not in (value or "").replace("url(#", "")


def test_what_the_source_holds_is_shown_and_not_obeyed(page: Reader) -> None:
    assert any(NASTY in words for words in page.words)


def test_every_picture_says_what_it_shows(page: Reader) -> None:
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len([each for each in pictures if each.get("class") != "range"]) == 10
    assert all(each.get("role") == "img" and each.get("aria-label") for each in pictures)


def test_it_says_what_the_json_says(page: Reader, document: dict[str, Any]) -> None:
    words = " ".join(" ".join(page.words).split())
    sentences = [document["headline"], document["verdict"]["sentence"], *document["know"]]
    sentences += [gate["reason"] for gate in document["gates"]]
    sentences += [remedy for finding in document["diagnosis"] for remedy in finding["remedies"]]
    sentences += [f"{each['mae']:.2f}" for each in document["errors"]]
    sentences += [f"{each['label']}" for cut in document["slices"] for each in cut["slices"]]
    sentences += [f"{each['mean']:.2f}" for each in document["cross_validation"]["summary"]]
    for sentence in sentences:
        assert " ".join(sentence.split()) in words, sentence


def test_the_verdict_and_the_sentence_come_before_any_section(page: Reader, document: dict[str, Any]) -> None:
    start = page.words.index("Gates")
    before = " ".join(page.words[:start])
    assert document["version"] in before
    assert document["headline"] in before
    assert document["diagnosis"][0]["sentence"] in before


def test_it_names_nobody(folder: Path) -> None:
    for path in (folder / PAGE, folder / JSON):
        assert "student_id" not in path.read_text()
        assert "@" not in path.read_text().replace("@media", "")


def test_it_has_a_dark_side_and_fits_a_phone(folder: Path) -> None:
    text = (folder / PAGE).read_text()
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


@pytest.mark.parametrize(
    "absent",
    [
        ("errors", "residuals", "slices", "calibration"),
        ("cross_validation", "learning_curves"),
        ("importance", "diagnosis", "portfolio"),
    ],
)
def test_what_is_not_there_is_left_out(document: dict[str, Any], absent: tuple[str, ...]) -> None:
    reader = read(evaluation_page({**document, **dict.fromkeys(absent), "know": [], "missing": ["not measured"]}, {}))

    assert "not measured" in reader.words
    assert document["headline"] in reader.words


def test_it_says_that_older_sessions_were_left_out(document: dict[str, Any]) -> None:
    assert "STUDYML_TRAINING_FROM" not in "".join(read(evaluation_page(document, {})).words)
    words = "".join(read(evaluation_page({**document, "training_from": "2026-07-24"}, {})).words)

    assert "Sessions before 2026-07-24 were left out (STUDYML_TRAINING_FROM)." in words
