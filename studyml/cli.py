"""The command ``studyml``: every command runs without Airflow and calls the functions that the tasks call.

The wall clock and the environment are read here, once, and passed down. Libraries are imported by the command
that needs them, so that ``studyml score`` stays small.
"""

import getpass
import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from studyml.errors import InputError, StudymlError
from studyml.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keeps a study time predictor good, every night, unattended.\n\nExample: studyml night --as-of 2026-03-01",
)
db_app = typer.Typer(no_args_is_help=True, help="Our own schema in PostgreSQL.")
versions_app = typer.Typer(no_args_is_help=True, help="Model versions and their artifacts.")
alerts_app = typer.Typer(no_args_is_help=True, help="Incidents and the messages about them.")
app.add_typer(db_app, name="db")
app.add_typer(versions_app, name="versions")
app.add_typer(alerts_app, name="alerts")

AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Night to act for, ISO time, UTC unless it says; default: now.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and exit status 1."""
    from studyml.development.cli import dev_app

    app.add_typer(dev_app, name="dev")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("studyml").setLevel(logging.INFO)
    try:
        app()
    except StudymlError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _now() -> datetime:
    return datetime.now(UTC)


def _moment(as_of: str | None, now: datetime) -> datetime:
    if as_of is None:
        return now
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise InputError(
            f"--as-of '{as_of}' is not a time: write it as 2026-03-01 or 2026-03-01T01:00+00:00."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=2, default=str))


def _print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*headers, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(soft_wrap=False).print(table)


def _hours(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f} h"


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Create or migrate the schemas studyml and analytics.  Example: studyml db upgrade"""
    from studyml.database.migrate import upgrade
    from studyml.database.schema import REVISION

    for notice in upgrade(load_settings().database):
        _progress(f"note: {notice}")
    print(f"The schema studyml is at revision {REVISION}.")


@app.command("load")
def load_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the three CSV files.")],
) -> None:
    """Load study logs from CSV files, all or nothing.  Example: studyml load exports/"""
    from studyml.steps.load import load

    _print_loaded(load(load_settings(), directory, now=_now(), progress=_progress))


def _print_loaded(loaded: Any) -> None:
    rows = [(each.name, each.read, each.kept, len(each.quarantined)) for each in loaded.files]
    _print_table(("file", "rows", "kept", "quarantined"), rows)
    for each in loaded.files:
        for column, count in each.unusual.items():
            print(f"{each.name}: {count} unusual values of {column}, kept")
        for column in each.ignored_columns:
            print(f"{each.name}: column {column} is not in the data contract and was ignored")
        for refused in each.quarantined[:5]:
            print(f"{each.name}: row {refused.row_id} quarantined: {refused.reason}")
        if len(each.quarantined) > 5:
            print(f"{each.name}: {len(each.quarantined) - 5} more quarantined, see studyml.quarantined_rows")


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

    now = _now()
    end = datetime.combine(now.date(), time(), UTC)
    plan = Simulation(sessions, students, days, seed, shift, shift_day)
    if out is not None:
        write_csv(simulate(plan, end), out)
        print(f"Wrote {sessions} simulated sessions and those planned for the coming week to {out}.")
        return
    _print_loaded(simulate_into_database(load_settings(), plan, end=end, now=now, progress=_progress))


@app.command("night")
def night_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Live one night: observe, judge, notify, retrain if due, score.  Example: studyml night --as-of 2026-03-01"""
    from studyml.steps.night import night

    now = _now()
    result = night(load_settings(), as_of=_moment(as_of, now), now=now, progress=_progress)
    _print_json(result) if as_json else report_command(as_of=result["as_of"])


@app.command("observe")
def observe_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Record labels that arrived, changed or went away.  Example: studyml observe"""
    from studyml.steps.observe import observe

    now = _now()
    counts = observe(load_settings(), as_of=_moment(as_of, now), now=now)
    if as_json:
        _print_json(counts)


@app.command("monitor")
def monitor_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Judge the served predictions of the last days.  Example: studyml monitor --json"""
    from studyml.steps.monitor import monitor

    now = _now()
    results = monitor(load_settings(), as_of=_moment(as_of, now), now=now)
    if as_json:
        _print_json(results)
        return
    rows = [(r["scope"], r["verdict"], r["n"], _hours(r["rolling_mae"]), _hours(r["threshold"])) for r in results]
    _print_table(("scope", "verdict", "outcomes", "MAE", "limit"), rows)


@app.command("retrain")
def retrain_command(
    force: Annotated[bool, typer.Option("--force", help="Retrain even if nothing makes it due.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Observe, then retrain if it is due; the gates decide what serves.  Example: studyml retrain --force"""
    from studyml.steps.night import retrain
    from studyml.steps.observe import observe

    now = _now()
    settings, moment = load_settings(), _moment(as_of, now)
    observe(settings, as_of=moment, now=now)
    result = retrain(settings, as_of=moment, now=now, progress=_progress, force=force, reason=reason)
    if as_json:
        _print_json(result)
    elif result is not None:
        print(f"{result['decision']}: {result['version']}")
        for line in result["reasons"]:
            print(f"  {line}")


@app.command("score")
def score_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Score every planned session.  Example: studyml score --as-of 2026-03-01"""
    from studyml.steps.score import score

    now = _now()
    result = score(load_settings(), as_of=_moment(as_of, now), now=now, progress=_progress)
    if as_json:
        _print_json(result)
    elif result["planned"] == 0:
        print("Nothing is planned: there was nothing to score.")
    else:
        print(f"{result['written']} predictions written, {result['refused']} sessions refused.")


@app.command("tune")
def tune_command(
    trials: Annotated[int | None, typer.Option(help="Random trials out of the grid; default: the whole grid.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw and of every training.")] = 42,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Search hyperparameters on the deployed network.  Example: studyml tune --trials 5"""
    from studyml.steps.tune import choose_best, plan_trials, run_trial

    now = _now()
    settings = load_settings()
    planned = plan_trials(settings, as_of=_moment(as_of, now), now=now, trials=trials, seed=seed)
    for each in planned:
        try:
            run_trial(settings, trial_id=each["trial_id"])
        except StudymlError as error:
            _progress(f"trial {each['trial_id']} failed: {error}")
    best = choose_best(settings, search_id=planned[0]["search_id"])
    _print_json(best) if as_json else print(f"best: {best['parameters']}, MAE {_hours(best['validation_mae'])}")


@app.command("maintain")
def maintain_command(as_of: AsOf = None) -> None:
    """Compare all labels, verify kept versions, prune by policy.  Example: studyml maintain"""
    from studyml.steps.maintain import maintain

    now = _now()
    _print_json(maintain(load_settings(), as_of=_moment(as_of, now), now=now))


@app.command("report")
def report_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """What happened in a night, by default the newest.  Example: studyml report"""
    from rich.console import Console

    from studyml.development.summary import _night_table
    from studyml.steps.report import report

    document = report(load_settings(), as_of=None if as_of is None else _moment(as_of, _now()))
    _print_json(document) if as_json else Console().print(_night_table(document))


@app.command("doctor")
def doctor_command(
    night: Annotated[bool, typer.Option("--night", help="Only: did a night finish within 26 h?")] = False,
    as_json: Json = False,
) -> None:
    """Check that everything is in place; exit status 1 where something is not.  Example: studyml doctor --night"""
    from dataclasses import asdict

    from studyml.steps.doctor import doctor

    checks = doctor(load_settings(), now=_now(), night=night)
    if as_json:
        _print_json([asdict(check) for check in checks])
    else:
        _print_table(("check", "", "found"), [(c.name, "ok" if c.passed else "NOT OK", c.found) for c in checks])
    if not all(check.passed for check in checks):
        raise typer.Exit(1)


@versions_app.command("list")
def versions_list(as_json: Json = False) -> None:
    """All versions, newest first.  Example: studyml versions list"""
    from dataclasses import asdict

    from studyml.registry.versions import list_versions
    from studyml.steps.opening import own_database

    with own_database(load_settings()) as connection:
        found = list_versions(connection)
    if as_json:
        _print_json([asdict(each) for each in found])
        return
    rows = [
        (v.version, v.status, v.architecture, v.recipe, v.training_rows, _hours(v.metrics.get("mae"))) for v in found
    ]
    _print_table(("version", "status", "architecture", "recipe", "trained on", "holdout MAE"), rows)


@versions_app.command("show")
def versions_show(version: str) -> None:
    """One version with its metrics and gates, as JSON.  Example: studyml versions show v_20260301_010203"""
    from dataclasses import asdict

    from studyml.registry.versions import find
    from studyml.steps.opening import own_database

    with own_database(load_settings()) as connection:
        _print_json(asdict(find(connection, version)))


@versions_app.command("verify")
def versions_verify(version: Annotated[str | None, typer.Argument(help="Default: the champion.")] = None) -> None:
    """Check a version's files against its manifest.  Example: studyml versions verify"""
    from studyml.steps.verify_version import verify_version

    print(f"{verify_version(load_settings(), version)} is whole.")


@alerts_app.command("list")
def alerts_list(
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False, as_json: Json = False
) -> None:
    """Open incidents.  Example: studyml alerts list --all"""
    from dataclasses import asdict

    from studyml.alerting.incidents import list_incidents
    from studyml.steps.opening import own_database

    with own_database(load_settings()) as connection:
        found = list_incidents(connection, only_open=not every)
    if as_json:
        _print_json([asdict(each) for each in found])
        return
    rows = [(i.id, i.kind, i.status, f"{i.opened_as_of:%Y-%m-%d %H:%M}", i.title) for i in found]
    _print_table(("id", "kind", "status", "since", "what"), rows) if rows else print("No open incident.")


@alerts_app.command("resolve")
def alerts_resolve(incident: int, note: Annotated[str, typer.Option(help="What was done.")]) -> None:
    """Close an incident by hand.  Example: studyml alerts resolve 3 --note retrained."""
    from studyml.alerting.incidents import resolve
    from studyml.steps.opening import own_database

    now = _now()
    with own_database(load_settings()) as connection:
        resolve(connection, incident, as_of=now, now=now, actor=getpass.getuser(), note=note)
        connection.commit()
    print(f"Incident {incident} is resolved.")


@alerts_app.command("test")
def alerts_test() -> None:
    """Send a test message to every alert address.  Example: studyml alerts test"""
    from studyml.steps.try_alerts import send_test

    sent = send_test(load_settings(), now=_now())
    print(f"Sent to {sent} alert addresses.")
