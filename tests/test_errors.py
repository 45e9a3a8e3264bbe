"""Errors that a person reads: one tree, drawn where it is defined."""

import inspect
import re

import pytest

from studyml import errors
from studyml.errors import StudymlError

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, StudymlError)]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"(\w+Error)\b", (errors.__doc__ or "").split("::")[1]))
    assert drawn == {each.__name__ for each in CLASSES}


@pytest.mark.parametrize("kind", CLASSES)
def test_each_says_in_the_drawing_whether_trying_again_can_help(kind: type[StudymlError]) -> None:
    line = next(line for line in (errors.__doc__ or "").splitlines() if re.search(rf"\b{kind.__name__}\b", line))
    assert ("retryable" in line) == kind.retryable


@pytest.mark.parametrize("kind", CLASSES)
def test_each_has_a_docstring_and_shows_its_sentence(kind: type[StudymlError]) -> None:
    assert kind.__doc__
    assert str(kind("one sentence.")) == "one sentence."
