"""What a backtest found, from the database its nights were lived in: ``backtest.json`` and ``backtest.html``."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studyml.alerting.message import title_of
from studyml.alerting.told import is_turn_for_the_worse
from studyml.database import backtest_results as results
from studyml.database.connection import Connection
from studyml.database.source import read_session_keys, read_topics
from studyml.errors import InputError
from studyml.evaluation.expanding import estimates_or, expanding_median, rolling_means
from studyml.evaluation.paired import compare, groups_of
from studyml.frame import to_datetime, to_microseconds
from studyml.monitoring.what_if import what_if
from studyml.reporting import backtest_plots as plots
from studyml.reporting.backtest_page import backtest_page
from studyml.reporting.backtest_words import assumptions, findings, headline, promotions
from studyml.reporting.pictures import inline_svg
from studyml.settings import Settings
from studyml.steps.backtest_workspace import JSON, PAGE, Workspace
from studyml.steps.evaluation_report import without_gaps
from studyml.steps.follow_up import nights_to_recover

#: Who predicted, as the report names them; the served predictions first.
PREDICTORS = ("served", "median", "estimate")
Errors = Mapping[str, NDArray[np.float64]]


def write_report(workspace: Workspace, scratch: Connection, *, kept: bool) -> dict[str, Any]:
    """Write both files into the folder of the backtest, whole or not at all, and return the document."""
    text = json.dumps(without_gaps(_document(workspace, scratch, kept)), indent=2, default=_iso, allow_nan=False)
    document: dict[str, Any] = json.loads(text)
    drawn = {
        name: inline_svg(name, draw(document), words)
        for name, (draw, words) in plots.PICTURES.items()
        if plots.can_draw(name, document)
    }
    try:
        for name, content in ((JSON, text + "\n"), (PAGE, backtest_page(document, drawn))):
            aside = workspace.folder / f"{name}.new"
            aside.write_text(content, encoding="utf-8")
            aside.rename(workspace.folder / name)
    except OSError as error:
        raise InputError(
            f"{workspace.folder} cannot be written ({error.strerror}): make room or grant access, then run this again."
        ) from None
    return document


def _iso(value: datetime) -> str:
    return value.isoformat()


def _document(workspace: Workspace, scratch: Connection, kept: bool) -> dict[str, Any]:
    settings, parameters = workspace.settings, workspace.parameters
    nights = results.nights(scratch)
    incidents = [_as_it_was_told(each) for each in results.incidents(scratch)]
    retrainings, deployments = results.retrainings(scratch), results.deployments(scratch)
    rows = results.served(scratch)
    errors = _errors(settings, scratch, rows)
    _add_naive(nights, rows, errors, settings.monitoring_window_days)
    document: dict[str, Any] = {
        "from": parameters["from"],
        "to": parameters["to"],
        "label_delay_hours": parameters["label_delay_hours"],
        "source": parameters["source"],
        "rows": parameters["rows"],
        "settings": parameters["settings"],
        "studyml": parameters["studyml"],
        "kept": kept,
        "assumptions": assumptions(parameters["label_delay_hours"], settings.monitoring_window_days),
        "summary": _summary(nights, incidents, retrainings, deployments),
        "served": _served(settings, scratch, rows, errors),
        "thresholds": [
            asdict(each)
            for each in what_if(
                results.rulings(scratch),
                ratio=settings.degraded_ratio,
                minimum_outcomes=settings.monitoring_min_outcomes,
                nights_to_recover=nights_to_recover,
                cool_off=timedelta(days=settings.incident_cool_off_days),
            )
        ],
        "incidents": incidents,
        "retrainings": retrainings,
        "deployments": deployments,
        "nights": nights,
    }
    return {"headline": headline(document), "findings": findings(document), **document}


def _as_it_was_told(incident: dict[str, Any]) -> dict[str, Any]:
    """An incident with the title of the first message of its urgency, and since which night it was as urgent."""
    for event in incident["events"]:
        if event["severity"] == incident["severity"] and is_turn_for_the_worse(event["event"], event["subject"]):
            return {**incident, "title": title_of(event["subject"]), "severity_since": event["as_of"]}
    return {**incident, "severity_since": incident["opened_as_of"]}


def _summary(
    nights: Sequence[Mapping[str, Any]],
    incidents: Sequence[Mapping[str, Any]],
    retrainings: Sequence[Mapping[str, Any]],
    deployments: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    events = [event for incident in incidents for event in incident["events"] if event["has_message"]]
    told = [event["severity"] for event in events if event["event"] != "resolved"]
    verdicts = [night["verdict"] for night in nights]
    decisions = [each["decision"] for each in retrainings]
    return {
        "nights": len(nights),
        "pages": told.count("page"),
        "tickets": told.count("ticket"),
        "escalations": told.count("escalation"),
        "recoveries": len(events) - len(told),
        "incidents": len(incidents),
        "verdicts": {name: verdicts.count(name) for name in sorted(set(verdicts))},
        "decisions": {str(name): decisions.count(name) for name in dict.fromkeys(decisions)},
        "promoted": len(promotions(deployments)),
    }


def _errors(settings: Settings, scratch: Connection, rows: Mapping[str, NDArray[Any]]) -> Errors:
    """Absolute errors [n] in hours, of the served predictions and of what a naive predictor had said that night."""
    known = results.outcomes(scratch)
    median = expanding_median(known["observed_at"], known["actual"], rows["predicted_at"])
    estimate = estimates_or(median, _estimates(settings, scratch, rows["session_id"]))
    predicted = {"served": rows["predicted"], "median": median, "estimate": estimate}
    return {name: np.abs(rows["actual"] - values) for name, values in predicted.items()}


def _estimates(settings: Settings, scratch: Connection, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """The estimate [n], in hours, of the topic of each session; NaN where there is none."""
    keys = read_session_keys(scratch, settings.source_schema, ids)
    topics = read_topics(scratch, settings.source_schema, {"subject": (), "content_type": ()})
    known = dict(zip(topics["id"].tolist(), topics["estimated_base_time"].tolist(), strict=True))
    topic = dict(zip(keys["id"].tolist(), keys["topic_id"].tolist(), strict=True))
    return np.array([known.get(topic.get(each), np.nan) for each in ids.tolist()], np.float64)


def _add_naive(nights: Sequence[dict[str, Any]], rows: Mapping[str, NDArray[Any]], errors: Errors, days: int) -> None:
    """Beside each night's rolling MAE those of the naive predictors over the same sessions, hours."""
    at = np.array([to_microseconds(night["as_of"]) for night in nights], np.int64)
    for name in PREDICTORS[1:]:
        means = rolling_means(rows["session_date"], rows["observed_at"], errors[name], at, days)
        for night, value in zip(nights, means.tolist(), strict=True):
            night[f"rolling_{name}_mae"] = value


def _served(
    settings: Settings, scratch: Connection, rows: Mapping[str, NDArray[Any]], errors: Errors
) -> dict[str, Any]:
    count = len(rows["session_id"])
    months = np.array([f"{to_datetime(each):%Y-%m}" for each in rows["session_date"]], np.object_)
    return {
        "n": count,
        "not_predicted": len(results.outcomes(scratch)["actual"]) - count,
        "mae": {name: _mean(errors[name]) for name in PREDICTORS},
        "against": _compared(settings, scratch, rows, errors) if count else {},
        "coverage": {name: _covered(rows, name) for name in ("80", "90")},
        "months": _parts(months, errors, "month"),
        "versions": _parts(rows["version"], errors, "version"),
    }


def _compared(
    settings: Settings, scratch: Connection, rows: Mapping[str, NDArray[Any]], errors: Errors
) -> dict[str, Any]:
    """MAE over each naive predictor's on the same sessions, with the bound of a paired bootstrap of students."""
    keys = read_session_keys(scratch, settings.source_schema, rows["session_id"])
    students = dict(zip(keys["id"].tolist(), keys["student_id"].tolist(), strict=True))
    student = np.array([students.get(each, 0) for each in rows["session_id"].tolist()], np.int64)
    groups = groups_of(student, rows["session_date"])
    return {
        name: asdict(compare(errors["served"], errors[name], groups, seed=settings.seed)) for name in PREDICTORS[1:]
    }


def _covered(rows: Mapping[str, NDArray[Any]], name: str) -> dict[str, Any]:
    lower, upper, actual = rows[f"lower_{name}"], rows[f"upper_{name}"], rows["actual"]
    known = np.isfinite(lower) & np.isfinite(upper)
    inside = (actual >= lower) & (actual <= upper)
    return {"n": int(known.sum()), "share": _mean(inside[known].astype(np.float64))}


def _parts(labels: NDArray[np.object_], errors: Errors, name: str) -> list[dict[str, Any]]:
    return [
        {name: label, "n": int((labels == label).sum())}
        | {predictor: _mean(values[labels == label]) for predictor, values in errors.items()}
        for label in sorted(set(labels.tolist()))
    ]


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None
