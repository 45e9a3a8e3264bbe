"""What predictions rest on (``explain``), what could be better (``tune``), what comes out again (``reproduce``)."""

from datetime import datetime
from typing import Annotated, Any

import typer

from studyml.settings import Settings, load_settings
from studyml.terminal import AsOf, Json, hours, parse_as_of, print_json, print_table, say, wall_clock

#: A contribution that would be printed as nothing is summed up with the others, hours.
_NOTHING = 0.005


def explain_command(
    version: Annotated[str | None, typer.Option(help="Default: the champion; with --session what served it.")] = None,
    session: Annotated[int | None, typer.Option(help="Id of a planned session: why it got its prediction.")] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """What a version's predictions rest on, or why one session got its prediction.

    Example: studyml explain --session 12
    """
    from studyml.steps.explain import explain

    moment = None if as_of is None else parse_as_of(as_of, wall_clock())
    if session is None:
        document = explain(load_settings(), version=version, as_of=moment, progress=say)
        show = _show_version
    else:
        from studyml.steps.explain_session import explain_session

        document = explain_session(load_settings(), session_id=session, version=version, as_of=moment)
        show = _show_session
    print_json(document) if as_json else show(document)


def _show_version(document: dict[str, Any]) -> None:
    if document["is_fallback"]:
        typer.echo(document["words"])
        return
    found = document["importance"]
    typer.echo(
        f"{document['version']} ({document['architecture']}, {document['recipe']}) is off by {hours(found['mae'])} on"
        f" average over its {found['rows']} newest sessions, which it was not trained on. A feature matters as much as"
        " this error grows when its values are shuffled among these sessions."
    )
    shap, weights = {each["feature"]: each["mean_absolute"] for each in found["shap"]}, document["weights"]
    columns = {
        "feature": [each["feature"] for each in found["permutation"]],
        "error grows by": [f"{each['mean']:+.3f} ± {each['std']:.3f} h" for each in found["permutation"]],
        "mean |SHAP|": [hours(shap[each["feature"]]) for each in found["permutation"]],
    }
    if weights:
        columns["weight"] = [f"{weights.get(feature, 0.0):.3f}" for feature in columns["feature"]]
    print_table(tuple(columns), list(zip(*columns.values(), strict=True)))
    for feature, reason in document["dropped"].items():
        typer.echo(f"{feature} is not used: {reason}.")


def _show_session(document: dict[str, Any]) -> None:
    from studyml.reporting.feature_words import signed_hours

    night, planned = (datetime.fromisoformat(document[name]) for name in ("as_of", "session_date"))
    typer.echo(
        f"Session {document['session_id']} of {planned:%Y-%m-%d %H:%M} UTC, night of {night:%Y-%m-%d %H:%M} UTC,"
        f" predicted by {document['version']}."
    )
    for warning in document["input_warnings"]:
        typer.echo(f"note: {warning}")
    if document["version"] != document["served_by"]:
        typer.echo(f"note: {document['served_by']} served it, with {document['served_hours']:.2f} h")
    if document["inputs_changed"]:
        typer.echo(
            f"note: the study app changed what this rests on since; that night served {document['served_hours']:.2f} h"
        )
    if document["is_fallback"]:
        typer.echo(f"{document['words']}.")
    else:
        typer.echo(
            f"mean prediction of {document['background_rows']} training sessions: {document['base_hours']:.2f} h"
        )
        large = [each for each in document["contributions"] if abs(each["hours"]) >= _NOTHING]
        for each in large:
            typer.echo(f"{each['words']}: {signed_hours(each['hours'])}")
        small = document["contributions"][len(large) :]
        if small:
            typer.echo(f"{len(small)} other features: {signed_hours(sum(each['hours'] for each in small))}")
    typer.echo(f"prediction: {document['predicted_hours']:.2f} h{_interval(document)}")


def _interval(document: dict[str, Any]) -> str:
    if document["lower_hours"] is None:
        return ""
    words = f", in 80 % of cases between {document['lower_hours']:.2f} and {document['upper_hours']:.2f} h"
    if document["lower_hours_90"] is None:
        return words
    return f"{words}, in 90 % between {document['lower_hours_90']:.2f} and {document['upper_hours_90']:.2f} h"


def tune_command(
    strategy: Annotated[
        str, typer.Option(help="grid: the guide's; random: draws of width, dropout, learning rate and L2.")
    ] = "grid",
    trials: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many to try; default: the whole grid, or 20 draws.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of the draw and of every training.")] = 42,
    architecture: Annotated[str | None, typer.Option(help="What to tune; default: what is deployed.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Of which recipe; default: what is deployed.")] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Observe, then search hyperparameters of the deployed network; the same search again goes on where it was.

    Example: studyml tune --strategy random --trials 20
    """
    from studyml.steps.observe import observe
    from studyml.steps.tune import choose_best, plan_trials

    settings, now = load_settings(), wall_clock()
    moment = parse_as_of(as_of, now)
    observe(settings, as_of=moment, now=now)
    planned = plan_trials(
        settings,
        as_of=moment,
        strategy=strategy,
        trials=trials,
        seed=seed,
        architecture=architecture,
        recipe=recipe,
    )
    _run_trials(settings, [each["trial_id"] for each in planned])
    found = choose_best(settings, search_id=planned[0]["search_id"], tell=lambda _: None)
    print_json(found) if as_json else _show_proposal(found)


def _run_trials(settings: Settings, ids: list[int]) -> None:
    """Run the trials one after the other, with a bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from studyml.steps.tune import run_trial

    shown = (TextColumn("trials"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*shown, TextColumn("{task.description}"), console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=len(ids))

        def tell(line: str) -> None:
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        best: float | None = None
        for trial_id in ids:
            mae = run_trial(settings, trial_id=trial_id, tell=tell)["validation_mae"]
            best = min((each for each in (best, mae) if each is not None), default=None)
            progress.update(bar, advance=1, description=f"best so far {hours(best)}")


def _show_proposal(found: dict[str, Any]) -> None:
    names = sorted({name for row in found["table"] for name in row["parameters"]})
    rows = [
        (
            row["trial"] if row["parameters"] else "current",
            *(row["parameters"].get(name) for name in names),
            f"{row['mae']:.3f} ± {row['deviation']:.3f} h",
        )
        for row in found["table"]
    ]
    print_table(("trial", *names, "error out of fold"), rows)
    if found["failed"]:
        typer.echo(f"{found['failed']} of {found['trials']} trials failed: see the errors in studyml.tuning_trials.")
    typer.echo(found["sentence"])
    if found["line"] is not None:
        typer.echo(
            "To use it, set this, then: studyml retrain --force" if found["is_worth_it"] else "To try it anyway:"
        )
        typer.echo(f"  {found['line']}")


def reproduce_version(version: str, *, as_json: bool) -> None:
    """``studyml retrain --reproduce``: exit status 1 where the rebuilt version does not predict the same."""
    from studyml.steps.reproduce import reproduce

    found = reproduce(load_settings(), version)
    if as_json:
        print_json(found)
    else:
        typer.echo(
            f"{version} was rebuilt: the {found['rows']} predictions of its holdout"
            f" {'agree' if found['agrees'] else 'DO NOT agree'}, the largest difference is"
            f" {found['largest_difference_hours']:.2g} h."
        )
        for name, (then, now) in found["differs"].items():
            typer.echo(f"  {name}: {then or 'unknown'} then, {now} now")
    if not found["agrees"]:
        raise typer.Exit(1)
