"""A backtest as a page that a person would rather look at than read: ``backtest.html``, one file.

It says what ``backtest.json`` says, with pictures. Whatever comes from the source is escaped.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from studyml.reporting import page_parts as parts
from studyml.reporting.backtest_words import DECISIONS, REASONS, RULES, counted, promotions, ratio_words, verdict_words
from studyml.reporting.page_parts import Markup, hours, percent, text

Document = Mapping[str, Any]

_COLORS = {"promoted": "good", "rejected": "note", "fallback": "note", "failed": "bad"}
_VERDICTS = {"healthy": "good", "suspected": "note", "confirmed": "bad", "error": "bad"}
_PREDICTORS = {"served": "what was served", "median": "the median of the labels so far", "estimate": "topic's estimate"}
#: Dates that a table names before it only counts them.
_DATES_NAMED = 4


def backtest_page(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    """The page of a document of ``steps.backtest_report``; ``pictures`` are svg elements by name."""
    sections = [
        _first_screen(document, pictures),
        _incidents(document),
        _errors(document, pictures),
        _models(document),
        _thresholds(document),
        _assumptions(document),
        _nights(document),
    ]
    return parts.page(f"Backtest from {document['from']} to {document['to']}", "".join(sections))


def _first_screen(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    found, mae = document["summary"], document["served"]["mae"]
    tiles = [
        (f"{found['pages']:,}", "page" if found["pages"] == 1 else "pages"),
        (f"{found['tickets']:,}", "ticket" if found["tickets"] == 1 else "tickets"),
        (f"{found['promoted']:,}", "promoted networks" if found["promoted"] != 1 else "promoted network"),
    ]
    if mae["served"] is not None:
        tiles += [
            (f"{mae['served']:.2f} h", "mean absolute error served"),
            (f"{mae['median']:.2f} h", "of the median"),
            (f"{mae['estimate']:.2f} h", "of the estimate"),
        ]
    shown = "".join(f'<div class="tile"><b>{text(value)}</b><span>{text(name)}</span></div>' for value, name in tiles)
    caption = (
        "Rolling mean absolute error of every night. A night judges the predictions that it had served itself, by the"
        " outcomes that it knew; median and estimate are judged on the same sessions."
    )
    drawn = parts.card(parts.picture(pictures["timeline"], caption, broad=True)) if "timeline" in pictures else ""
    known = document["findings"] and parts.card(
        parts.paragraphs(document["findings"]), title="What a person should know"
    )
    return (
        '<p class="quiet">A rehearsal: what studyml would have done, night by night</p>'
        f"<h1>{text(document['from'])} to {text(document['to'])}</h1>"
        f'<p class="headline">{text(document["headline"])}</p><div class="tiles">{shown}</div>{known or ""}{drawn}'
    )


def _incidents(document: Document) -> Markup:
    if not document["incidents"]:
        return parts.section("Whom it would have called", "<p>Nobody: there was no incident.</p>")
    rows = []
    for each in document["incidents"]:
        until = "still open" if each["resolved_as_of"] is None else _day(each["resolved_as_of"])
        messages = sum(event["has_message"] for event in each["events"])
        later = each["severity_since"] != each["opened_as_of"]
        severity = f"{each['severity']} since {each['severity_since'][:10]}" if later else each["severity"]
        rows.append(
            (
                "",
                [
                    text(each["title"]),
                    _colored("bad" if each["severity"] == "page" else "note", severity),
                    _day(each["opened_as_of"]),
                    until,
                    str(messages),
                    _events(each["events"]),
                ],
            )
        )
    table = parts.table(
        ("incident", "severity", "opened", "resolved", "messages", "what happened"), rows, ("", "", "", "", "", "words")
    )
    return parts.section("Whom it would have called", parts.card(table))


def _events(events: Sequence[Mapping[str, Any]]) -> Markup:
    shown = [f"{_day(each['as_of'])} {text(each['event'])}" for each in events]
    return "<br>".join(shown if len(shown) <= 6 else [*shown[:3], f"… {len(shown) - 5} more …", *shown[-2:]])


def _errors(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    served = document["served"]
    if not served["n"]:
        return parts.section("How far off the predictions were", "<p>No predicted session had an outcome.</p>")
    rows = []
    for name, words in _PREDICTORS.items():
        against = served["against"].get(name)
        cells = (
            ("", "")
            if against is None
            else (
                "–" if against["ratio"] is None else f"{against['ratio']:.2f}",
                "–" if against["upper_bound"] is None else f"{against['upper_bound']:.2f}",
            )
        )
        rows.append(("own" if name == "served" else "", [text(words), f"{served['mae'][name]:.3f}", *cells]))
    table = parts.table(("predictor", "MAE, hours", "served over it", "at most, 90 % sure"), rows)
    coverage = [
        f"{percent(found['share'], 1)} of {counted(found['n'], 'outcome')} fell inside the {name} % interval"
        for name, found in served["coverage"].items()
        if found["share"] is not None
    ]
    missing = served["not_predicted"]
    if missing:
        coverage.append(f"{counted(missing, 'outcome')} had no prediction: from before the first night, or refused")
    drawn = (
        parts.card(parts.picture(pictures["months"], "Below each month: its sessions with an outcome.", broad=True))
        if "months" in pictures
        else ""
    )
    return parts.section(
        "How far off the predictions were",
        parts.card(table, parts.paragraphs([f"{each}." for each in coverage])),
        drawn,
        quiet=f"Over {counted(served['n'], 'session')} that were predicted and had an outcome. Under 1: better than the"
        " naive predictor on the same sessions.",
    )


def _models(document: Document) -> Markup:
    errors = {each["version"]: each for each in document["served"]["versions"]}
    rows = []
    served_from = {each["to_version"]: each["as_of"] for each in promotions(document["deployments"])}
    for each in document["retrainings"]:
        own = errors.get(each["version"])
        rows.append(
            (
                "",
                [
                    _day(each["as_of"]),
                    text(REASONS.get(each["reason"], each["reason"])),
                    _decided(each, served_from.get(each["version"])),
                    text(" ".join(filter(None, (each["architecture"], each["recipe"])))) or "–",
                    text(each["training_rows"]),
                    hours(each["holdout_mae"]),
                    "–" if own is None else f"{hours(own['served'])} ({own['n']:,})",
                    f"<details><summary>reasons</summary>{parts.paragraphs(each['reasons'])}</details>",
                ],
            )
        )
    if not rows:
        return parts.section("Models", "<p>No retraining was due.</p>")
    headers = ("night", "due because", "decision", "what", "trained on", "holdout MAE", "served MAE (outcomes)", "why")
    known = dict.fromkeys(str(each["decision"]) for each in document["retrainings"])
    return parts.section(
        f"Models: {counted(len(rows), 'retraining')}",
        parts.card(parts.table(headers, rows, ("", "words", "", "", "", "", "", "words"))),
        quiet=" ".join(f"{DECISIONS[name].capitalize()}." for name in known if name in DECISIONS),
    )


def _decided(retraining: Mapping[str, Any], served_from: str | None) -> Markup:
    """The decision, and for one that was not promoted at once the night from which its version served."""
    decision = str(retraining["decision"])
    shown = _colored(_COLORS.get(decision, ""), decision)
    if served_from is None or decision == "promoted":
        return shown
    return f"{shown}<br>{_colored(_COLORS['promoted'], 'promoted')} {_day(served_from)}"


def _thresholds(document: Document) -> Markup:
    cards = []
    for rule, words in RULES.items():
        rows = [
            (
                "own" if each["is_set"] else "",
                [
                    ratio_words(each["ratio"]) + (" (as set)" if each["is_set"] else ""),
                    str(each["minimum_outcomes"]),
                    f"{each['above']:,} of {each['judged']:,}",
                    f"{len(each['opened']):,}",
                    _some_days(each["opened"]),
                ],
            )
            for each in document["thresholds"]
            if each["rule"] == rule
        ]
        if rows:
            headers = ("ratio", "outcomes needed", "nights above", "incidents", "opened")
            cards.append(parts.card(parts.table(headers, rows, ("", "", "", "", "words")), title=words.capitalize()))
    return parts.section(
        "What other thresholds would have done",
        *cards,
        quiet="Held against the errors as they were: nothing else is assumed to change.",
    )


def _some_days(moments: Sequence[str]) -> Markup:
    if not moments:
        return "never"
    more = f" and {len(moments) - _DATES_NAMED} more" if len(moments) > _DATES_NAMED else ""
    return ", ".join(_day(each) for each in moments[:_DATES_NAMED]) + more


def _assumptions(document: Document) -> Markup:
    rows = document["rows"]
    source = (
        f"Replayed: {rows['sessions']:,} sessions ({rows['labelled']:,} labelled) of {rows['students']:,} students and"
        f" {rows['topics']:,} topics, from {document['source']}, by studyml {document['studyml']}."
    )
    listed = [("", [text(name), text(value)]) for name, value in document["settings"].items()]
    settings = f"<details><summary>settings</summary>{parts.table(('setting', 'value'), listed)}</details>"
    return parts.section("What was assumed", parts.card(parts.paragraphs([*document["assumptions"], source]), settings))


def _nights(document: Document) -> Markup:
    rows = [
        (
            "",
            [
                _day(each["as_of"]),
                _colored(_VERDICTS.get(each["verdict"], "quiet"), verdict_words(each["verdict"])),
                f"{each['n']:,}",
                hours(each["rolling_mae"]),
                hours(each["threshold"]),
                hours(each["expected_mae"]),
                hours(each["rolling_median_mae"]),
                hours(each["rolling_estimate_mae"]),
                "–" if each["interval_80_coverage"] is None else percent(each["interval_80_coverage"]),
            ],
        )
        for each in document["nights"]
    ]
    headers = ("night", "verdict", "outcomes", "MAE", "limit", "expected", "median", "estimate", "in 80 %")
    table = parts.table(headers, rows)
    return parts.section(
        "Every night", parts.card(f"<details><summary>all {len(rows):,}, in numbers</summary>{table}</details>")
    )


def _colored(style: str, words: str) -> Markup:
    return f'<span class="{style}">{text(words)}</span>'


def _day(moment: str) -> Markup:
    return f'<span class="day">{text(moment[:10])}</span>'
