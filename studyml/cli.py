"""The command ``studyml``: every command runs without Airflow and calls the functions that the tasks call.

The wall clock and the environment are read here, once, and passed down. Libraries are imported by the command
that needs them, so that ``studyml score`` stays small.
"""

import logging
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from studyml.cli_alerts import alerts_app
from studyml.cli_backtest import backtest_command
from studyml.cli_models import explain_command, reproduce_version, tune_command
from studyml.cli_serving import register as register_serving_commands
from studyml.cli_versions import maintain_command, versions_app
from studyml.errors import InputError, StudymlError
from studyml.settings import load_settings
from studyml.terminal import AsOf, Json, hours, parse_as_of, print_json, print_table, say, share, times, wall_clock

#: What settings.py knows, for the help and the shell's completion.
Architecture = Literal["auto", "mlp", "ensemble", "lstm", "attention"]
RecipeName = Literal["auto", "guide", "selected", "history"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps a study time predictor good, every night, unattended.\n\nExample: studyml night --as-of 2026-03-01",
)
db_app = typer.Typer(no_args_is_help=True, help="Our own schema in PostgreSQL.\n\nExample: studyml db upgrade")
app.add_typer(db_app, name="db")
register_serving_commands(versions_app)
app.add_typer(versions_app, name="versions")
app.add_typer(alerts_app, name="alerts")
app.command("explain")(explain_command)
app.command("tune")(tune_command)
app.command("maintain")(maintain_command)
app.command("backtest")(backtest_command)


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and exit status 1."""
    from studyml.development.cli import dev_app

    app.add_typer(dev_app, name="dev")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("studyml").setLevel(logging.INFO)
    try:
        app(prog_name="studyml")
    except StudymlError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Create or migrate the schemas studyml and analytics.

    Example: studyml db upgrade
    """
    from studyml.steps.upgrade_database import upgrade_database

    revision, notices = upgrade_database(load_settings())
    for notice in notices:
        say(f"note: {notice}")
    print(f"The schema studyml is at revision {revision}.")


@app.command("load")
def load_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the three CSV files.")],
) -> None:
    """Load study logs from CSV files, all or nothing; rows whose id is known already are updated.

    Example: studyml load exports/
    """
    from studyml.steps.load import load

    _print_loaded(load(load_settings(), directory, now=wall_clock(), progress=say))


def _print_loaded(loaded: Any) -> None:
    rows = [(each.name, each.read, each.kept, each.quarantined) for each in loaded.files]
    print_table(("file", "rows", "kept", "quarantined"), rows)
    for each in loaded.files:
        for column, count in each.unusual.items():
            print(f"{each.name}: {count} unusual values of {column}, kept")
        for column in each.ignored_columns:
            print(f"{each.name}: column {column} is not in the data contract and was ignored")
        for example in each.examples:
            print(f"{each.name}: {example}")
        if each.quarantined > len(each.examples):
            print(f"{each.name}: {each.quarantined - len(each.examples)} more, see studyml.quarantined_rows")


@app.command("simulate")
def simulate_command(
    sessions: Annotated[int, typer.Option(help="Labelled sessions.")] = 600,
    students: Annotated[int, typer.Option(help="Students.")] = 30,
    days: Annotated[int, typer.Option(help="Days of history, up to last midnight UTC.")] = 90,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same logs.")] = 42,
    shift: Annotated[float, typer.Option(help="From --shift-day on, sessions take this many times as long.")] = 1.0,
    shift_day: Annotated[int | None, typer.Option(help="Day, from 0, on which the shift starts.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the CSV files here instead of filling the database.")] = None,
) -> None:
    """Make study logs by the guide's data process, with planned sessions for the coming week.

    Example: studyml simulate --sessions 2000 --shift 1.4 --shift-day 60
    """
    from studyml.simulation import Simulation, simulate, write_csv
    from studyml.steps.load import simulate_into_database

    now = wall_clock()
    end = datetime.combine(now.date(), time(), UTC)
    plan = Simulation(sessions, students, days, seed, shift, shift_day)
    if out is not None:
        write_csv(simulate(plan, end), out)
        print(f"Wrote {sessions} simulated sessions and those planned for the coming week to {out}.")
        return
    _print_loaded(simulate_into_database(load_settings(), plan, end=end, now=now, progress=say))


@app.command("night")
def night_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Live one night: observe, judge, notify, retrain if due, score.

    Example: studyml night --as-of 2026-03-01
    """
    from studyml.steps.night import night

    now = wall_clock()
    result = night(load_settings(), as_of=parse_as_of(as_of, now), now=now, progress=say, clock=wall_clock)
    print_json(result) if as_json else report_command(as_of=result["as_of"])


@app.command("observe")
def observe_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Record labels that arrived, changed or went away.

    Example: studyml observe
    """
    from studyml.steps.observe import observe

    now = wall_clock()
    counts = observe(load_settings(), as_of=parse_as_of(as_of, now), now=now)
    if as_json:
        print_json(counts)
    else:
        print_table(("labels", "sessions"), [(name, n) for name, n in counts.items() if name != "replay"])


@app.command("monitor")
def monitor_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Judge the served predictions of the last days.

    Without --as-of this is a look at how it stands now: nothing is recorded. With it, the verdict of that night is
    recorded anew, and its incident opened, brought up to date or resolved.

    Example: studyml monitor --json
    """
    from studyml.steps.monitor import monitor

    now = wall_clock()
    results = monitor(load_settings(), as_of=parse_as_of(as_of, now), now=now, look=as_of is None)
    if as_json:
        print_json(results)
        return
    rows = [
        (
            *(r["scope"], r["verdict"], r["n"], hours(r["rolling_mae"]), hours(r["threshold"])),
            *(times(r["error_ratio"]), times(r["error_ratio_limit"]), share(r["coverage"])),
            *(share(r[f"interval_{name}_coverage"]) for name in (80, 90)),
        )
        for r in results
    ]
    print_table(
        ("scope", "verdict", "outcomes", "MAE", "limit", "errors", "chance to", "labelled", "in 80 %", "in 90 %"), rows
    )


@app.command("retrain")
def retrain_command(
    force: Annotated[bool, typer.Option("--force", help="Retrain even if nothing makes it due.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    architecture: Annotated[Architecture | None, typer.Option(help="What to train; default: the setting.")] = None,
    recipe: Annotated[RecipeName | None, typer.Option(help="How to train it; default: the setting.")] = None,
    hyperparameters: Annotated[
        str | None,
        typer.Option(metavar="JSON", help='Changes to every recipe, such as {"dropout": 0.4}; default: the setting.'),
    ] = None,
    training_from: Annotated[
        str | None, typer.Option(metavar="DATE", help="Learn from sessions since then only; default: the setting.")
    ] = None,
    reproduce: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Only rebuild this version aside, and say whether it predicts the same."),
    ] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Observe, then retrain if it is due; the gates decide what serves.

    Example: studyml retrain --force --recipe history --hyperparameters '{"l2": 0.03}'
    """
    from studyml.steps.night import retrain
    from studyml.steps.observe import observe

    if reproduce is not None:
        if any((force, reason, architecture, recipe, hyperparameters, training_from, as_of)):
            raise InputError("--reproduce rebuilds a version as it was trained: leave out the other options.")
        reproduce_version(reproduce, as_json=as_json)
        return
    now = wall_clock()
    settings = load_settings(
        architecture=architecture, recipe=recipe, hyperparameters=hyperparameters, training_from=training_from
    )
    moment = parse_as_of(as_of, now)
    observe(settings, as_of=moment, now=now)
    result = retrain(settings, as_of=moment, now=now, progress=say, force=force, reason=reason)
    if as_json:
        print_json(result)
    elif result is not None:
        print("\n  ".join([f"{result['decision']}: {result['version']}", *result["reasons"]]))
    if force and result is None:
        raise typer.Exit(1)


@app.command("score")
def score_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Score every planned session.

    Example: studyml score --as-of 2026-03-01
    """
    from studyml.steps.score import score

    now = wall_clock()
    result = score(load_settings(), as_of=parse_as_of(as_of, now), now=now, progress=say)
    if as_json:
        print_json(result)
    elif result["planned"] == 0:
        print("Nothing is planned: there was nothing to score.")
    else:
        print(f"{result['written']} predictions written, {result['refused']} sessions refused.")


@app.command("report")
def report_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """What happened in a night, by default the newest.

    Example: studyml report
    """
    from rich.console import Console

    from studyml.reporting.summary import night_table
    from studyml.steps.report import report

    document = report(load_settings(), as_of=None if as_of is None else parse_as_of(as_of, wall_clock()))
    print_json(document) if as_json else Console().print(night_table(document))


@app.command("doctor")
def doctor_command(
    night: Annotated[bool, typer.Option("--night", help="Only: did a night finish within 26 h?")] = False,
    as_json: Json = False,
) -> None:
    """Check that everything is in place; exit status 1 where something is not.

    Example: studyml doctor --night
    """
    from dataclasses import asdict

    from studyml.steps.doctor import doctor

    checks = doctor(load_settings(), now=wall_clock(), night=night)
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        print_table(("check", "", "found"), [(c.name, "ok" if c.passed else "NOT OK", c.found) for c in checks])
    if not all(check.passed for check in checks):
        raise typer.Exit(1)
