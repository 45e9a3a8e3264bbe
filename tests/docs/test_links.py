"""Every link and anchor leads somewhere, those in messages, errors and DAG pages too."""

import re

import pytest

from studyml.alerting.incidents import KINDS
from studyml.alerting.messages import SECTIONS, WAITING_SECTION
from studyml.settings import Settings
from tests.docs.documents import NAMES, ROOT, anchors, links, read

RUNBOOK = "docs/runbook.md"
CODE = sorted(
    path
    for folder, pattern in (
        ("studyml", "*.py"),
        ("studyml", "*.sql"),
        ("dags", "*.py"),
        ("plugins", "*.py"),
        ("docker", "*.py"),
    )
    for path in (ROOT / folder).rglob(pattern)
)


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name: str) -> None:
    for link in links(name):
        if re.match(r"https?://", link):
            continue
        target, _, anchor = link.partition("#")
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
        assert path.is_relative_to(ROOT), link
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path.relative_to(ROOT).as_posix()), link


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        for link in links(name):
            path = ((ROOT / name).parent / link.partition("#")[0]).resolve()
            found = sorted(path.glob("*.md")) if path.is_dir() else [path] if path.suffix == ".md" else []
            waiting += [each.relative_to(ROOT).as_posix() for each in found if each.is_file()]
        waiting = [each for each in waiting if each not in reached]
    assert reached == set(NAMES)


def test_the_sections_that_messages_link_to_are_in_the_runbook() -> None:
    assert set(SECTIONS) == set(KINDS)
    assert {*SECTIONS.values(), WAITING_SECTION} <= anchors(RUNBOOK)
    assert Settings.model_fields["runbook_url"].default == RUNBOOK


def test_the_sections_that_errors_name_are_in_the_runbook() -> None:
    headings = set(re.findall(r"^## (.+)$", read(RUNBOOK), flags=re.MULTILINE))
    named = {
        section for path in CODE for section in re.findall(r"see '([^']+)' in the runbook", path.read_text("utf-8"))
    }
    assert named
    assert named <= headings


def test_documents_that_the_code_names_exist() -> None:
    found = 0
    for path in [*CODE, ROOT / "Makefile", ROOT / "docker-compose.yaml", ROOT / ".env.example"]:
        for name, anchor in re.findall(r"(docs/[\w/-]+\.md)(?:#([\w-]+))?", path.read_text("utf-8")):
            found += 1
            assert (ROOT / name).is_file(), f"{path.name} names {name}"
            assert not anchor or anchor in anchors(name), f"{path.name} names {name}#{anchor}"
    assert found > 5
