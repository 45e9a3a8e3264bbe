"""Pictures of a backtest, from its document: errors and incidents night by night, and errors by month."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from studyml.reporting.backtest_words import promotions
from studyml.reporting.plots import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, named_axes, new_figure

Document = Mapping[str, Any]

_PREDICTORS = {"served": ("served", BLUE), "median": ("median", MUTED), "estimate": ("estimate", PURPLE)}
_WIDTH = 9.4
#: A naive error of more than this many times what was served is cut off.
_DWARFED = 3
#: More months than this are not told apart any more: their names are thinned out.
_MONTHS_NAMED = 18


def timeline(document: Document) -> Any:
    """The rolling MAE of every night with its limit and the naive predictors', incidents, decisions, and outcomes."""
    nights = document["nights"]
    at = [_moment(night["as_of"]) for night in nights]
    figure, (errors, outcomes) = new_figure(_WIDTH, 4.6, rows=(4, 1))
    for number, (since, until) in enumerate(_incidents(document, at[-1])):
        label = "incident open" if number == 0 else None
        errors.axvspan(since, until, color=ORANGE, alpha=0.14, linewidth=0, label=label)
    for key, (words, color) in _PREDICTORS.items():
        name = "rolling_mae" if key == "served" else f"rolling_{key}_mae"
        # The naive ones on top and broken: where all say the same, all are seen.
        style = {"linewidth": 2.2} if key == "served" else {"linewidth": 1.3, "linestyle": (0, (4, 2))}
        errors.plot(at, _values(nights, name), color=color, label=words, **style)
    errors.plot(at, _values(nights, "threshold"), color=ORANGE, linewidth=1.2, linestyle="--", label="guide's limit")
    _decisions(errors, document)
    errors.set_ylim(0, 1.1 * _top(nights))
    named_axes(errors, "", "MAE (hours)", legend=None)
    errors.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1),
        ncols=7,
        frameon=False,
        labelcolor=INK,
        fontsize=8,
        columnspacing=1.2,
    )
    outcomes.fill_between(at, [night["n"] for night in nights], color=BLUE, alpha=0.35, linewidth=0, step="mid")
    outcomes.set_ylim(bottom=0)
    _dates(outcomes)
    named_axes(outcomes, "night", "outcomes", legend=None)
    return figure


def _top(nights: Sequence[Mapping[str, Any]]) -> float:
    """The highest error to be shown: what was served always, a naive predictor's unless it dwarfs that."""
    served = np.nanmax([*_values(nights, "rolling_mae"), *_values(nights, "threshold")])
    naive = np.nanmax([*_values(nights, "rolling_median_mae"), *_values(nights, "rolling_estimate_mae"), 0.0])
    return float(max(served, min(naive, _DWARFED * served)))


def _decisions(axes: Any, document: Document) -> None:
    decided = {
        name: [each for each in document["retrainings"] if each["decision"] == name]
        for name in ("rejected", "fallback")
    } | {"promoted": promotions(document["deployments"])}
    for decision, marker, color in (("promoted", "^", GREEN), ("rejected", "x", MUTED), ("fallback", "s", PURPLE)):
        at = [_moment(each["as_of"]) for each in decided[decision]]
        if at:
            axes.plot(
                at,
                [0.04] * len(at),
                marker,
                color=color,
                markersize=6,
                label=decision,
                transform=axes.get_xaxis_transform(),
                zorder=5,
            )


def _incidents(document: Document, end: datetime) -> list[tuple[datetime, datetime]]:
    return [
        (_moment(each["opened_as_of"]), _moment(each["resolved_as_of"]) if each["resolved_as_of"] else end)
        for each in document["incidents"]
    ]


def months(document: Document) -> Any:
    """The MAE of each month's sessions, served and naive."""
    found = document["served"]["months"]
    figure, (axes,) = new_figure(_WIDTH, 2.8)
    places = np.arange(len(found))
    for number, (key, (words, color)) in enumerate(_PREDICTORS.items()):
        axes.bar(places + 0.27 * (number - 1), _values(found, key), 0.25, color=color, alpha=0.85, label=words)
    step = 1 + (len(found) - 1) // _MONTHS_NAMED
    axes.set_xticks(places[::step], [f"{each['month']}\n{each['n']:,}" for each in found[::step]])
    axes.grid(visible=False, axis="x")
    named_axes(axes, "month, and sessions with an outcome", "MAE (hours)", legend=None)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False, labelcolor=INK, fontsize=8)
    return figure


def _dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=12)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> Any:
    return np.array([np.nan if row[name] is None else row[name] for row in rows], np.float64)


#: The pictures by name: what draws each, and what it says to a person who does not see it.
PICTURES: dict[str, tuple[Callable[[Document], Any], str]] = {
    "timeline": (timeline, "rolling mean absolute error of every night, with its limit, incidents and decisions"),
    "months": (months, "mean absolute error of each month's sessions, served, median and estimate"),
}


def can_draw(name: str, document: Document) -> bool:
    """Whether there is anything to draw."""
    return bool(document["nights"]) if name == "timeline" else len(document["served"]["months"]) > 1
