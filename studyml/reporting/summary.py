"""What happened, on one screen: printed at the end of ``make run`` from the report of each night."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

_NAIVE = {
    "median_mae": "median of the training set",
    "estimate_mae": "the topic's estimate",
    "log_linear_mae": "log-linear regression",
    "random_split_mae": "the guide's random split (not comparable: it lets the future in)",
}
#: How many sentences about what moved a night's report has.
_MOST_MOVED = 5
_REASONS = {
    "first": "no version served yet",
    "new_labels": "enough new labels",
    "degraded": "the champion is degraded",
    "forced": "asked for by hand",
}


def print_summary(
    console: Console, rows: Mapping[str, int], reports: list[dict[str, Any]], where: Mapping[str, str]
) -> None:
    """Print the data, each night in order, and where to look."""
    console.print()
    console.rule("What happened")
    quarantined: Mapping[str, int] = (reports[-1].get("quarantined") if reports else None) or {}
    console.print(_data_table(rows, quarantined))
    for report in reports:
        console.print(night_table(report))
    console.print(_where_table(where))


def _data_table(rows: Mapping[str, int], quarantined: Mapping[str, int]) -> Table:
    table = _plain("Data", "rows", "quarantined")
    for name, count in rows.items():
        table.add_row(name, f"{count:,}", f"{quarantined.get(name, 0):,}")
    return table


def night_table(report: dict[str, Any]) -> Table:
    """One night for a person, from ``steps.report``."""
    kind = "replay" if report.get("replay") else "finished" if report.get("finished") else "not finished"
    table = _plain(f"Night {report.get('as_of')}", kind)
    for part in (_retraining, _trial, _scoring, _monitoring, _incidents):
        for name, value in part(report):
            table.add_row(name, escape(value))
    return table


def _retraining(report: dict[str, Any]) -> list[tuple[str, str]]:
    found = report.get("retraining")
    if not found:
        return [("retraining", "none recorded for this night")]
    because = f" ({_REASONS.get(found['reason'], found['reason'])})" if found.get("reason") else ""
    version = f", {found['version']}" if found.get("version") else ""
    decision = found.get("decision") or "none yet: it runs still, or was killed"
    lines = [("decision", f"{decision}{because}{version}")]
    said = dict.fromkeys([*(found.get("reasons") or []), found.get("note")])  # the note may repeat the only reason
    lines += [("", str(reason)) for reason in said if reason]
    lines.append(("new labels", f"{found.get('new_labels')} of {found.get('needed')} that make a retraining due"))
    metrics = found.get("metrics") or {}
    if metrics.get("mae") is not None:
        rows = f", {metrics['holdout_rows']} held-out sessions" if metrics.get("holdout_rows") else ""
        lines.append(("MAE", f"{_hours(metrics['mae'])} (RMSE {_hours(metrics.get('rmse'))}{rows})"))
    lines += [
        ("  beside", f"{_hours(metrics[key])} {words}") for key, words in _NAIVE.items() if metrics.get(key) is not None
    ]
    return lines


def _trial(report: dict[str, Any]) -> list[tuple[str, str]]:
    found = report.get("trial")
    return [("challenger", f"{found['challenger']} {found['decision']}: {found['reason']}")] if found else []


def _scoring(report: dict[str, Any]) -> list[tuple[str, str]]:
    champion = report.get("champion") or {}
    fallback = " (fallback: no network has passed its gates)" if champion.get("is_fallback") else ""
    lines = [("champion", f"{champion['version']}{fallback}")] if champion else []
    found = report.get("scoring")
    if not found:
        return [*lines, ("predictions", "none recorded for this night")]
    if not found.get("planned"):
        return [*lines, ("predictions", "nothing was planned, so nothing was to be predicted")]
    refused = f", {found['refused']:,} refused" if found.get("refused") else ""
    return [
        *lines,
        (
            "predictions",
            f"{found.get('written') or 0:,} of {found['planned']:,} planned{refused} ({found.get('status')})",
        ),
    ]


def _monitoring(report: dict[str, Any]) -> list[tuple[str, str]]:
    found = report.get("monitoring")
    if not found:
        return [("verdict", "none recorded for this night")]
    lines = [("verdict", f"{found.get('verdict')} ({found.get('n')} outcomes in the window)")]
    if found.get("rolling_mae") is not None:
        limits = f"baseline {_hours(found.get('baseline_mae'))}, suspected above {_hours(found.get('threshold'))}"
        lines.append(("rolling MAE", f"{_hours(found['rolling_mae'])}{_between(found)} ({limits})"))
    if found.get("error_ratio") is not None:
        said = f"{found['error_ratio']:.2f} x the errors when tested, chance explains up to"
        lines.append(("beyond chance", f"{said} {found['error_ratio_limit']:.2f} x"))
    if found.get("expected_mae") is not None:
        lines.append(("  expected", f"{_hours(found['expected_mae'])} of this champion, by its holdout"))
    lines += _drift(found)
    shares = {name: found.get(f"interval_{name}_coverage") for name in (80, 90)}
    if any(share is not None for share in shares.values()):
        said = ", ".join(f"{share:.0%} in the {name} % one" for name, share in shares.items() if share is not None)
        lines.append(("intervals", f"{said}: outcomes that were inside"))
    return lines


def _drift(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    drift = found.get("drift") or {}
    if "features" not in drift:
        return [("drift", f"not checked: {drift['error']}")] if "error" in drift else []
    moved = [each["sentence"] for each in (*drift["features"], drift["volume"]) if each["moved"]]
    judged = sum(each["judged"] for each in drift["features"])
    still = f"nothing of {judged} features moved beyond chance" if judged else "not compared: too few rows to judge"
    lines = [("drift", sentence) for sentence in moved[:_MOST_MOVED]] or [("drift", still)]
    if len(moved) > _MOST_MOVED:
        lines.append(("", f"and {len(moved) - _MOST_MOVED} more: studyml monitor --json"))
    if drift.get("estimated_mae") is not None:
        lines.append(("  estimated", f"{_hours(drift['estimated_mae'])}, an estimate before the labels are known"))
    return lines


def _between(found: Mapping[str, Any]) -> str:
    lower, upper = found.get("rolling_mae_lower"), found.get("rolling_mae_upper")
    return "" if lower is None or upper is None else f", truly {lower:.2f} to {upper:.2f} h"


def _incidents(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("incident", f"{found.get('kind')}: {found.get('title')} (since {found.get('opened_as_of')})")
        for found in report.get("incidents") or []
    ]


def _where_table(where: Mapping[str, str]) -> Table:
    table = _plain("Where to look", "")
    for name, place in where.items():
        table.add_row(name, escape(place))
    return table


def _plain(*headers: str) -> Table:
    table = Table(box=None, title_justify="left", pad_edge=False, header_style="bold")
    for position, header in enumerate(headers):
        table.add_column(header, overflow="fold", justify="left" if position == 0 else "default", no_wrap=position == 0)
    return table


def _hours(value: Any) -> str:
    return "unknown" if value is None else f"{float(value):.2f} h"
