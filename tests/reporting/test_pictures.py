"""Figures as files, and as parts of a page that has its own colours and its own letters."""

import re
from pathlib import Path

import numpy as np
from matplotlib.image import imread

from studyml.reporting import plots
from studyml.reporting.pictures import VARIABLES, inline_svg, save_png

ROWS = [("subject=<script>alert(1)</script>", 2.0, 0.1), ("数学 $x^{", 1.0, 0.1)]


def test_a_picture_takes_the_colours_of_the_page_and_none_of_its_own() -> None:
    svg = inline_svg("bars", plots.bars(ROWS, "hours"), "the bars")

    assert not any(color in svg for color in VARIABLES)
    assert "var(--blue)" in svg
    assert "var(--ink)" in svg
    assert "<style" not in svg
    assert 'fill="#fff' not in svg.lower()


def test_its_text_is_text_and_harmless() -> None:
    svg = inline_svg("bars", plots.bars(ROWS, "hours"), 'a "quoted" <b>')

    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "数学 $x^{" in svg
    assert 'aria-label="a &quot;quoted&quot; &lt;b&gt;"' in svg


def test_the_identifiers_of_two_pictures_on_a_page_do_not_meet() -> None:
    hours = np.array([1.0, 2.0])
    first, second = (inline_svg(name, plots.predicted_actual(hours, hours), "points") for name in ("one", "two"))

    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, second)]
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', first))
    assert ids[0].isdisjoint(ids[1])
    assert used
    assert used <= ids[0]


def test_the_same_figure_is_the_same_picture() -> None:
    first, second = (inline_svg("bars", plots.bars(ROWS, "hours"), "bars") for _ in range(2))

    assert first == second


def test_a_file_shows_the_figure_on_white_and_the_page_after_it_the_same(tmp_path: Path) -> None:
    figure = plots.bars(ROWS, "hours")

    save_png(tmp_path / "bars.png", figure)

    pixels = imread(tmp_path / "bars.png")
    assert (pixels[0, 0, :3] == 1).all()
    assert (pixels[..., :3] < 0.9).any(axis=-1).mean() > 0.02
    assert "var(--blue)" in inline_svg("bars", figure, "bars")
