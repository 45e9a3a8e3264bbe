"""Figures as files and as part of a page: PNG for a folder, SVG that takes the colours of the page it stands in."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

from studyml.reporting.plots import BLUE, GREEN, GRID, INK, MUTED, ORANGE, PURPLE

#: Which of the page's colours each colour of a figure is.
VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    BLUE: "--blue",
    ORANGE: "--orange",
    GREEN: "--green",
    PURPLE: "--purple",
}
_COLOR = re.compile("|".join(VARIABLES))
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>.*?</style>", re.DOTALL)
_FONT = re.compile(r"font: (?:\w+ )*?([\d.]+px)[^;\"]*")
_IDENTIFIER = re.compile(r'(\bid="|href="#|url\(#)')


def save_png(path: Path, figure: Any) -> None:
    """Write the figure for whoever opens the folder, on white."""
    with _drawing():
        figure.savefig(path, dpi=110, facecolor="white")
    # Laid out now: doing that again for the page would cost as much as drawing it.
    figure.set_layout_engine("none")


def inline_svg(name: str, figure: Any, words: str) -> str:
    """The figure as one ``svg`` element: text as text, colours of the page, ``words`` for who does not see it."""
    text = StringIO()
    with _drawing():
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()
    svg = _STYLE.sub("", _METADATA.sub("", svg[svg.index("<svg") :]))
    svg = _COLOR.sub(lambda found: f"var({VARIABLES[found.group()]})", svg)
    svg = _FONT.sub(r"font: \1 var(--font)", svg)
    # Several pictures share a page: their identifiers must not meet.
    svg = _IDENTIFIER.sub(lambda found: f"{found.group()}{name}-", svg)
    opening, _, rest = svg.partition(">")
    box = re.search(r'viewBox="[^"]*"', opening)
    assert box is not None  # matplotlib writes one always
    return (
        f'<svg role="img" aria-label="{escape(words)}" {box.group()} xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'
    )


@contextmanager
def _drawing() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "studyml"}), warnings.catch_warnings():
        # A letter that the PNG's font lacks is drawn as a box; the page uses the reader's own fonts.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing", category=UserWarning)
        yield
