"""The evaluation of one version as a page that a person would rather look at than read: ``evaluation.html``.

It says what ``evaluation.json`` says, with pictures. Whatever comes from the source (subjects, categories, reasons)
is escaped.
"""

from collections.abc import Mapping
from typing import Any

from studyml.reporting import page_parts as parts
from studyml.reporting.evaluation_tables import NAMES, errors_section, folds_table, portfolio_section, slices_section
from studyml.reporting.page_parts import Markup, text

Document = Mapping[str, Any]


def evaluation_page(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    """The page of a document of ``evaluation.report``; ``pictures`` are svg elements by name, absent ones left out."""
    sections = [
        _first_screen(document),
        _gates(document),
        errors_section(document),
        portfolio_section(document),
        _training_and_holdout(document, pictures),
        slices_section(document),
        _folds(document, pictures),
        _calibration(document, pictures),
        _importance(document, pictures),
        _footer(document),
    ]
    return parts.page(f"Evaluation of {document['version']}", "".join(sections))


def _first_screen(document: Document) -> Markup:
    verdict = document["verdict"]
    kind, word = {True: ("good", "passed"), False: ("bad", "failed"), None: ("note", "not judged")}[verdict["passed"]]
    if document["is_fallback"]:
        word = "fallback"
    about = f"{document['architecture']}, recipe {document['recipe']}"
    return (
        f'<p class="quiet">How good is this study time predictor? ({text(about)})</p>'
        f'<h1>{text(document["version"])} <span class="badge {kind}">{word}</span></h1>'
        f'<p class="headline">{text(document["headline"])}</p><p>{text(verdict["sentence"])}</p>'
        + _tiles(document)
        + _findings(document)
        + (
            parts.card(parts.paragraphs(document["know"]), title="What a person should know")
            if document["know"]
            else ""
        )
        + (parts.card(parts.paragraphs(document["missing"]), title="What is not here") if document["missing"] else "")
    )


def _tiles(document: Document) -> Markup:
    own = next((each for each in document["errors"] or [] if each["own"]), None)
    if own is None:
        return ""
    shown = [("mean absolute error", f"{own['mae']:.2f} h"), ("median error", f"{own['median_absolute_error']:.2f} h")]
    shown += [
        (f"of the {NAMES[each['predictor']]}'s MAE", parts.percent(each["ratio"]))
        for each in document["errors"]
        if not each["own"] and each["ratio"] is not None and each["predictor"] in ("median", "estimate", "champion")
    ]
    tiles = "".join(f'<div class="tile"><b>{text(value)}</b><span>{text(name)}</span></div>' for name, value in shown)
    return f'<div class="tiles">{tiles}</div>'


def _findings(document: Document) -> Markup:
    found = document["diagnosis"]
    if found is None:
        return ""
    if not found:
        return '<p class="quiet">Diagnosis of the training: nothing was found wrong.</p>'
    shown = (
        f'<div class="card finding {text(each.get("severity"))}"><h3>{text(str(each["kind"]).replace("_", " "))}</h3>'
        f"<p>{text(each['sentence'])}</p>{parts.paragraphs([str(words) for words in each.get('remedies') or ()])}</div>"
        for each in found
    )
    return "".join(shown)


def _gates(document: Document) -> Markup:
    if not document["gates"]:
        return ""
    items = "".join(
        f'<li><span class="{"good" if gate["passed"] else "bad"}">{"passed" if gate["passed"] else "failed"}</span>:'
        f" {text(gate['reason'])}</li>"
        for gate in document["gates"]
    )
    return parts.section("Gates", f"<ul>{items}</ul>")


def _drawn(pictures: Mapping[str, Markup], name: str, title: str, caption: str) -> Markup:
    return parts.card(parts.picture(pictures[name], caption), title=title) if name in pictures else ""


def _training_and_holdout(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    few = "" if not document.get("points_shown") else f" {document['points_shown']:,} of all sessions are drawn."
    drawn = [
        _drawn(
            pictures,
            "learning_curves",
            "Learning curves",
            "Each line is one network of the version; dots are the epochs of lowest validation error.",
        ),
        _drawn(pictures, "predicted_actual", "Predicted against actual", f"On the line a prediction is perfect.{few}"),
        _drawn(pictures, "residuals", "Residuals", "Right of zero a session took longer than predicted."),
        _drawn(
            pictures,
            "residuals_predicted",
            "Residuals along the prediction",
            f"A median away from zero is a bias, a wider band a less sure prediction.{few}",
        ),
    ]
    return parts.section("In training and on the holdout", parts.pair(*drawn)) if any(drawn) else ""


def _folds(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    found = document["cross_validation"]
    if found is None:
        return ""
    return parts.section(
        f"Cross-validation: {len(found['folds'])} folds, grouped by student",
        _drawn(pictures, "cross_validation", "", "Lines are means over the folds."),
        parts.card(folds_table(found)),
        quiet="Each fold was predicted by networks that had seen none of its students, or where students are few none"
        " of its weeks.",
    )


def _calibration(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    found = document["calibration"]
    measured = {"holdout": "holdout", "out_of_fold": "out of fold"}
    known = [(words, found[name]) for name, words in measured.items() if found and found[name] is not None]
    if not known:
        return ""
    rows = [
        ("", [text(words), f"{part['rows']:,}", *(parts.percent(each["actual"], 1) for each in part["overall"])])
        for words, part in known
    ]
    nominal = [f"in the {parts.percent(each['nominal'])} interval" for each in known[0][1]["overall"]]
    how = parts.paragraphs([f"{words.capitalize()}: {part['source']}." for words, part in known])
    chance = "Bars are two standard errors: what chance allows an honest interval."
    return parts.section(
        "Do the intervals hold what they promise?",
        parts.card(parts.table(("rows", "sessions", *nominal), rows), f'<div class="quiet">{how}</div>'),
        parts.pair(
            _drawn(pictures, "reliability", "Every coverage from 10 to 95 %", "Below the line it is too narrow."),
            _drawn(pictures, "coverage", "By predicted length", chance),
        ),
    )


def _importance(document: Document, pictures: Mapping[str, Markup]) -> Markup:
    found = document["importance"]
    if not found:
        return ""
    cards = []
    for name, title, caption, columns in (
        (
            "permutation",
            "Permutation",
            "By how many hours the MAE grows when a feature is shuffled.",
            ("feature", "mean", "std"),
        ),
        ("shap", "SHAP", "Mean absolute contribution to a prediction, hours.", ("feature", "mean_absolute")),
        (
            "weights",
            "First-layer weights",
            "Mean absolute weight of an input: a hint, not a measure.",
            ("input", "value"),
        ),
    ):
        rows = found.get(name) or []
        if rows:
            cells = [
                ("", [text(row.get(columns[0])), *(_digits(row.get(each)) for each in columns[1:])]) for row in rows
            ]
            listed = parts.table([each.replace("_", " ") for each in columns], cells)
            table = f"<details><summary>all {len(rows)}, in numbers</summary>{listed}</details>"
            cards.append(parts.card(parts.picture(pictures.get(name, ""), caption), table, title=title))
    return parts.section("What the predictions rest on", parts.pair(*cards)) if cards else ""


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _footer(document: Document) -> Markup:
    window = document.get("data_window")
    data = f" Its data, holdout included, are from {window[0][:10]} to {window[1][:10]}." if window else ""
    if document.get("training_from"):
        data += f" Sessions before {document['training_from']} were left out (STUDYML_TRAINING_FROM)."
    words = (
        f"Trained at {str(document.get('trained_at'))[:16].replace('T', ' ')} UTC on {document.get('training_samples')}"
        f" labelled sessions.{data} MAE: mean absolute error. A residual is actual less predicted hours. The same as"
        " figures: evaluation.json; in words: model_card.md."
    )
    return f'<footer class="quiet"><p>{text(words)}</p></footer>'
