"""Run a step again and again, each time killed one boundary later: SIGKILL, as a machine does that loses power.

A boundary is every call of a function of ours, and every moment before and after a call that changes the world: a
commit, a statement, a rename, a flush, a removal. Called as a process of its own, that imports once and forks for each
try: ``python -m tests.faults.killed_anywhere STEP ARGUMENT DATABASE_URL ARTIFACT_ROOT``. For each line on standard
input, the number of a boundary, it answers in one line: its name, or ``finished`` where the step has fewer.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from studyml.errors import StudymlError
from studyml.settings import Settings, load_settings
from studyml.steps.opening import own_database
from studyml.steps.prune import prune
from studyml.steps.publish_version import publish_version
from studyml.steps.rollback_version import rollback_version
from tests.conftest import END, NOW

OURS = str(Path(sys.modules["studyml"].__file__ or "").parent)
#: Calls of the system and of the database by which something becomes visible to others, or lasting.
LASTING = {"commit", "rollback", "execute", "rename", "replace", "fsync", "unlink", "rmdir", "mkdir"}


def publish(settings: Settings, argument: str) -> None:
    publish_version(settings, retraining_run_id=int(argument), now=NOW)


def take_back(settings: Settings, argument: str) -> None:
    rollback_version(settings, None, now=NOW, actor="ada", reason=argument)


def remove(settings: Settings, argument: str) -> None:
    few = settings.model_copy(update={"keep_versions": 1, "keep_served_days": 1})
    with own_database(few) as connection:
        prune(few, connection, as_of=END, now=NOW + timedelta(days=int(argument)))


STEPS: dict[str, Callable[[Settings, str], None]] = {"publish": publish, "rollback": take_back, "prune": remove}


class Boundaries:
    """Counts the places that are boundaries, each once, writes down the last one's name, and dies there."""

    def __init__(self, deadly: int, pipe: int) -> None:
        self.left = deadly
        self.pipe = pipe
        self.seen: set[str] = set()

    def reached(self, name: str) -> None:
        if name in self.seen:
            return
        self.seen.add(name)
        self.left -= 1
        if self.left == 0:
            os.write(self.pipe, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(OURS):
            self.reached(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}")
        elif event in ("c_call", "c_return") and argument.__name__ in LASTING:
            word = "before" if event == "c_call" else "after"
            self.reached(f"{word} {argument.__name__} in {frame.f_code.co_name}, line {frame.f_lineno}")


def attempt(step: Callable[[], None], number: int) -> str:
    """Run the step in a child that dies at a boundary; return the boundary's name, or how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        ended = "failed"
        try:
            sys.setprofile(Boundaries(number, writer))
            step()
            ended = "finished"
        except StudymlError as error:
            ended = f"failed: {error}"
        finally:  # whatever happened, the child does not come back to answer further lines
            sys.setprofile(None)
            os.write(writer, ended.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        name = answer.read().decode()
    os.waitpid(child, 0)
    return name


def main(step: str, argument: str, database_url: str, artifact_root: str) -> None:
    """Answer one line for each number on standard input."""
    settings = load_settings(database_url=database_url, artifact_root=artifact_root)
    for line in sys.stdin:
        print(attempt(lambda: STEPS[step](settings, argument), int(line)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
