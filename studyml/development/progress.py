"""Progress on a terminal or in a log: one line per stage with its seconds, and lines for what happens inside it."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Prints at once, so that a reader always sees what is being waited for."""

    def __init__(self) -> None:
        self._line_is_open = False

    def say(self, text: str) -> None:
        """Print a line of its own, below the stage that is open."""
        self._print("\n" * self._line_is_open + text + "\n")
        self._line_is_open = False

    @contextmanager
    def stage(self, name: str) -> Iterator[list[str]]:
        """Announce ``name``; at the end add its seconds and the notes that the block appended to the yielded list."""
        notes: list[str] = []
        started = time.monotonic()
        self._print("\n" * self._line_is_open + f"{name} ...")
        self._line_is_open = True
        try:
            yield notes
        except BaseException:
            if self._line_is_open:
                self.say("")
            raise
        done = "; ".join([*notes, f"{time.monotonic() - started:.1f} s"])
        self._print(f" {done}\n" if self._line_is_open else f"  {done}\n")
        self._line_is_open = False

    def _print(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            # Whoever read this is gone (a closed terminal, "| head"): what was started must still be stopped.
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def tolerate_any_encoding() -> None:
    """Print a replacement instead of failing where the terminal's encoding lacks a character."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
