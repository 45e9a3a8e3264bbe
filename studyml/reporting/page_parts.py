"""Parts of a page that is one file: its style in light and dark, escaped text, tables, and bars inside a table."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

#: HTML that is escaped already.
Markup = str

STYLE = """
:root { color-scheme: light dark; --font: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --page: #f6f8fa; --card: #ffffff; --ink: #1f2328; --muted: #59636e; --grid: #d8dee4; --blue: #0969da;
  --orange: #bc4c00; --green: #1a7f37; --purple: #8250df; --red: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --card: #161b22; --ink: #e6edf3; --muted: #9198a1;
  --grid: #30363d; --blue: #58a6ff; --orange: #f0883e; --green: #3fb950; --purple: #bc8cff; --red: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 var(--font); }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 48px 0 4px; }
h3 { font-size: 1rem; margin: 0 0 8px; }
p, ul { margin: 8px 0; max-width: 74ch; }
ul { padding-left: 1.2em; } li { margin: 5px 0; }
.quiet { color: var(--muted); font-size: .9rem; }
.headline { font-size: 1.15rem; }
.card { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 18px 20px; margin: 16px 0;
  min-width: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 16px; }
.pair .card { margin: 0; }
.badge { display: inline-block; border-radius: 999px; padding: 2px 12px; font-size: .85rem; font-weight: 600;
  border: 1px solid currentColor; }
.good { color: var(--green); } .bad { color: var(--red); } .note { color: var(--orange); }
.finding { border-left: 4px solid var(--orange); } .finding.information { border-left-color: var(--blue); }
figure { margin: 0; } figure svg { display: block; width: 100%; height: auto; max-width: 540px; margin: 0 auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; } figure svg text { fill: var(--ink); }
figure.broad svg { max-width: none; }
figcaption { color: var(--muted); font-size: .9rem; margin-top: 6px; }
.pair .card:last-child:nth-child(odd) { grid-column: 1 / -1; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0; }
.tile { background: var(--card); border: 1px solid var(--grid); border-radius: 10px; padding: 10px 16px;
  flex: 1 1 140px; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; } .tile span { color: var(--muted); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--grid); white-space: nowrap; }
th { color: var(--muted); font-weight: 600; vertical-align: bottom; white-space: normal; }
td .quiet { font-size: .85em; font-weight: 400; }
th:first-child, td:first-child { text-align: left; padding-left: 0; white-space: normal;
  overflow-wrap: break-word; max-width: 20em; unicode-bidi: isolate; }
td.words, th.words { text-align: left; white-space: normal; min-width: 9.5em; }
tr:last-child td { border-bottom: 0; } tr.own td { font-weight: 600; } tr.small td { color: var(--muted); }
td svg.range { width: 150px; height: 16px; display: block; }
.day { white-space: nowrap; }
details summary { cursor: pointer; color: var(--muted); }
footer { margin-top: 48px; border-top: 1px solid var(--grid); padding-top: 12px; }
@media (max-width: 640px) { main { padding: 20px 14px 48px; } .card { padding: 14px; } .wide { display: none; }
  th, td { padding: 6px 6px; } td svg.range { width: 72px; }
  td .quiet { display: none; } h1 { font-size: 1.5rem; } .headline { font-size: 1.05rem; } }
"""


def page(title: str, body: Markup) -> Markup:
    """One whole document that needs nothing from outside; a policy forbids it even to try."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def text(value: object) -> Markup:
    """Any value as text; None is a dash."""
    return "–" if value is None else escape(str(value))


def hours(value: float | None, sign: bool = False) -> str:
    """Hours with two digits behind the point.

    >>> hours(1.25), hours(-0.5, sign=True), hours(None)
    ('1.25', '-0.50', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.2f}" if sign else f"{value:.2f}"


def percent(share: float, digits: int = 0) -> str:
    """A share in percent.

    >>> percent(0.916), percent(0.916, 1)
    ('92 %', '91.6 %')
    """
    return f"{100 * share:.{digits}f} %"


def paragraphs(sentences: Sequence[str]) -> Markup:
    """A list of sentences; nothing for none."""
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f"<ul>{items}</ul>" if items else ""


def section(title: str, *parts: Markup, quiet: str = "") -> Markup:
    """A section of the page with a heading and, in small print, what it is about."""
    about = f'<p class="quiet">{escape(quiet)}</p>' if quiet else ""
    return f"<section><h2>{escape(title)}</h2>{about}{''.join(parts)}</section>\n"


def card(*parts: Markup, title: str = "") -> Markup:
    """A box."""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<div class="card">{heading}{"".join(parts)}</div>'


def pair(*cards: Markup) -> Markup:
    """Boxes beside each other, below each other on a narrow screen."""
    return f'<div class="pair">{"".join(each for each in cards if each)}</div>'


def picture(svg: Markup, caption: str = "", *, broad: bool = False) -> Markup:
    """A picture with the words below it; a broad one takes all the width there is."""
    words = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    style = ' class="broad"' if broad else ""
    return f"<figure{style}>{svg}{words}</figure>"


def table(headers: Sequence[str], rows: Sequence[tuple[str, Sequence[Markup]]], styles: Sequence[str] = ()) -> Markup:
    """A table of cells that are markup; each row has a class, each column a style: wide (not on a phone) or words."""
    kinds = [*styles, *[""] * (len(headers) - len(styles))]

    def cells(kind: str, values: Sequence[Markup]) -> Markup:
        named = (f' class="{style}"' if style else "" for style in kinds)
        return "".join(f"<{kind}{style}>{value}</{kind}>" for style, value in zip(named, values, strict=True))

    body = "".join(f'<tr class="{name}">{cells("td", values)}</tr>' for name, values in rows)
    heads = cells("th", [escape(each) for each in headers])
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def ratio_range(found: Mapping[str, Any], low: float, high: float) -> Markup:
    """A ratio with its interval as a small picture: the line in the middle distance is 1, left of it is better."""
    ratio, lower, upper = found["ratio"], found["ratio_lower"], found["ratio_upper"]
    if ratio is None:
        return ""

    def place(value: float) -> float:
        return round(150 * (min(max(value, low), high) - low) / (high - low), 1)

    color = "--muted"
    if lower is not None and not found.get("too_small"):
        color = "--green" if upper < 1 else "--red" if lower > 1 else "--blue"
    line = (
        ""
        if lower is None
        else f'<rect x="{place(lower)}" y="7" width="{place(upper) - place(lower):.1f}" height="2"/>'
    )
    words = f"{ratio:.2f}" if lower is None else f"{ratio:.2f}, from {lower:.2f} to {upper:.2f}"
    return (
        f'<svg class="range" role="img" aria-label="ratio {words}" viewBox="0 0 150 16" preserveAspectRatio="none">'
        f'<rect x="{place(1)}" y="0" width="1" height="16" fill="var(--muted)"/><g fill="var({color})">{line}'
        f'<rect x="{max(place(ratio) - 2, 0)}" y="3" width="4" height="10" rx="1"/></g></svg>'
    )
