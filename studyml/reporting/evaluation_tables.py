"""The tables of an evaluation page: errors beside other predictors, what was tried, slices, and folds."""

from collections.abc import Mapping, Sequence
from typing import Any

from studyml.reporting import page_parts as parts
from studyml.reporting.page_parts import Markup, hours, text

Document = Mapping[str, Any]

NAMES = {
    "network": "this network",
    "median": "training median",
    "estimate": "topic estimate",
    "log_linear": "log-linear regression",
    "champion": "champion",
}


def errors_section(document: Document) -> Markup:
    """The version beside the naive predictors and the champion, the best first."""
    if not document["errors"]:
        return ""
    ordered = sorted(document["errors"], key=lambda each: float(each["mae"]))
    rows = [
        (
            "own" if each["own"] else "",
            [
                text("this version" if each["own"] else NAMES.get(each["predictor"], each["predictor"])),
                _with_error(each),
                hours(each["rmse"]),
                hours(each["median_absolute_error"]),
                "" if each["own"] else _ratio(each),
            ],
        )
        for each in ordered
    ]
    headers = ("predictor", "MAE, h", "RMSE, h", "median error, h", "ratio of this version's MAE to it")
    return parts.section(
        "Against other predictors",
        parts.card(parts.table(headers, rows, ("", "", "wide", "wide"))),
        quiet=f"On {_judged_on(document)}. ± is one standard error over students. A ratio below 1 is better; in"
        " brackets its 90 % interval over students.",
    )


def _judged_on(document: Document) -> str:
    which = (
        "labelled sessions it was chosen on"
        if document["is_fallback"]
        else "newest labelled sessions, never trained on"
    )
    return f"the same {document['holdout_rows']:,} {which}"


def _with_error(found: Mapping[str, Any]) -> str:
    error = found["standard_error"]
    return hours(found["mae"]) + ("" if error is None else f' <span class="quiet">± {hours(error)}</span>')


def _ratio(found: Mapping[str, Any]) -> str:
    if found["ratio"] is None:
        return "–"
    if found["ratio_lower"] is None:
        return f"{found['ratio']:.2f}"
    return f"{found['ratio']:.2f} ({found['ratio_lower']:.2f}–{found['ratio_upper']:.2f})"


def portfolio_section(document: Document) -> Markup:
    """The recipes that were tried."""
    if not document["portfolio"]:
        return ""
    rows = [
        (
            "own" if each.get("chosen") else "",
            [
                text(f"{each['architecture']} × {each['recipe']}{' (chosen)' if each.get('chosen') else ''}"),
                hours(each.get("out_of_fold_mae")),
                hours(each.get("recent_out_of_fold_mae")),
                "–" if each.get("seconds") is None else f"{each['seconds']:.1f}",
            ],
        )
        for each in document["portfolio"]
    ]
    headers = ("architecture × recipe", "out-of-fold MAE, h", "on the newest rows, h", "seconds")
    return parts.section(
        "What was tried",
        parts.card(parts.table(headers, rows, ("", "wide"))),
        quiet="The one with the lowest out-of-fold error on the newest training rows went to the gates.",
    )


def slices_section(document: Document) -> Markup:
    """The error in every slice, with what may be chance."""
    if not document["slices"]:
        return ""
    every = [each for dimension in document["slices"] for each in dimension["slices"] if each["ratio"] is not None]
    low, high = _scale(every)
    tables = [_slice_table(dimension, low, high) for dimension in document["slices"]]
    quiet = (
        "n: sessions; median: of the absolute errors; bias: median of actual less predicted; naive: MAE of the better"
        " of training median and topic's estimate. Ratio: this version's MAE over that on the same rows, with its 90 %"
        " interval over resampled students; an interval on both sides of 1 may be chance. The bars share one scale"
        f" from {low:.2f} to {high:.2f} and end there; the thin line is 1. With so many slices one in twenty looks"
        " good, and one in twenty bad, by chance alone. Grey: too few rows to judge."
    )
    return parts.section("Where it is good and where it is weak", *tables, quiet=quiet)


def _scale(found: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    judged = [each for each in found if not each["too_small"]] or list(found)
    ends = [each["ratio_lower"] or each["ratio"] for each in judged] + [1.0]
    tops = [each["ratio_upper"] or each["ratio"] for each in judged] + [1.0]
    return max(min(ends) - 0.05, 0.0), min(max(tops) + 0.05, 2.0)


def _slice_table(dimension: Mapping[str, Any], low: float, high: float) -> Markup:
    rows = [
        (
            "small" if each["too_small"] else "",
            [
                text(each["label"]),
                f"{each['rows']:,}",
                _with_error(each),
                hours(each["median_absolute_error"]),
                hours(each["median_residual"], sign=True),
                f"{hours(each['naive_mae'])} <span class='quiet'>{text(each['naive'])}</span>",
                "–" if each["ratio"] is None else f"{each['ratio']:.2f}",
                parts.ratio_range(each, low, high),
                text(each["verdict"]),
            ],
        )
        for each in dimension["slices"]
    ]
    headers = (
        *("slice", "n", "MAE, h", "median, h", "bias, h", "naive, h"),
        *("ratio", "90 % interval", "verdict"),
    )
    styles = ("", "", "", "wide", "wide", "wide", "", "", "words wide")
    note = f'<p class="quiet">{text(dimension["note"])}</p>' if dimension["note"] else ""
    return parts.card(note, parts.table(headers, rows, styles), title=dimension["title"])


def folds_table(found: Mapping[str, Any]) -> Markup:
    """The MAE of each predictor in each fold, with its mean and deviation."""
    rows = [
        (
            "own" if each["predictor"] == "network" else "",
            [
                text(NAMES.get(each["predictor"], each["predictor"])),
                hours(each["mean"]),
                "–" if each["deviation"] is None else f"± {hours(each['deviation'])}",
                *(hours(fold["mae"][each["predictor"]]) for fold in found["folds"]),
            ],
        )
        for each in found["summary"]
    ]
    numbers = [f"fold {fold['fold'] + 1} ({fold['rows']:,})" for fold in found["folds"]]
    headers = ("predictor", "mean MAE, h", "deviation", *numbers)
    return parts.table(headers, rows)
