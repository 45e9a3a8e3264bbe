"""The commands ``studyml versions`` that look, ``prune`` and the weekly upkeep; ``cli_serving`` decides what serves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from studyml.settings import load_settings
from studyml.terminal import AsOf, Json, hours, parse_as_of, print_json, print_table, say, utc_day, utc_time, wall_clock

versions_app = typer.Typer(
    no_args_is_help=True, help="Model versions, what serves, and how to take it back.\n\nExample: studyml versions list"
)


@versions_app.command("list")
def versions_list(as_json: Json = False) -> None:
    """All versions, newest first.

    Example: studyml versions list
    """
    from studyml.steps.records import all_versions

    found = all_versions(load_settings())
    if as_json:
        print_json([asdict(each) for each in found])
        return
    rows = [
        (v.version, v.status, v.architecture, v.recipe, v.training_rows, hours(v.metrics.get("mae"))) for v in found
    ]
    print_table(("version", "status", "architecture", "recipe", "trained on", "holdout MAE"), rows)


@versions_app.command("show")
def versions_show(
    version: Annotated[str, typer.Argument(help="Such as v_20260301_010203.")], as_json: Json = False
) -> None:
    """One version: how it measured, each gate, what it was made of, and when it served; --json prints all of it.

    Example: studyml versions show v_20260301_010203
    """
    from studyml.steps.records import one_version, served_times

    settings = load_settings()
    found = one_version(settings, version)
    if as_json:
        print_json(asdict(found))
        return
    lineage = found.lineage
    trained = f"{utc_day(found.training_from)} to {utc_day(found.training_through)}"
    facts = {
        "version": found.version,
        "status": found.status,
        "network": f"{found.architecture}, recipe {found.recipe}",
        "trained": utc_time(found.trained_at),
        "trained on": f"{found.training_rows} sessions, {trained}",
        "judged on": f"{found.holdout_rows} newer sessions",
        "MAE": hours(found.metrics.get("mae")),
        "snapshot": found.metrics.get("snapshot_sha256"),
        "code": lineage.get("code_version"),
        "seed": lineage.get("seed"),
        "libraries": ", ".join(f"{name} {each}" for name, each in lineage.get("libraries", {}).items()),
        "DAG run": lineage.get("dag_run_id"),
        "files": found.artifact_uri or "not kept",
    }
    rows = [(name, value) for name, value in facts.items() if value not in (None, "")]
    rows += [("passed" if each["passed"] else "FAILED", each["reason"]) for each in found.gates]
    rows += [
        (f"{each.action} {utc_time(each.recorded_at)}", _deployed(each)) for each in served_times(settings, version)
    ]
    print_table(("", ""), rows)


@versions_app.command("verify")
def versions_verify(
    version: Annotated[str | None, typer.Argument(help="Default: the champion.")] = None, as_json: Json = False
) -> None:
    """Check every file of a version against its manifest, and the manifest against the registry; changes nothing.

    In an object store its objects are read, whatever this machine has a copy of. Exit status 1 where it is damaged.

    Example: studyml versions verify v_20260301_010203
    """
    from studyml.steps.verify_version import verify_version

    found = verify_version(load_settings(), version)
    print_json({"version": found, "whole": True}) if as_json else typer.echo(f"{found} is whole.")


@versions_app.command("diff")
def versions_diff(
    first: Annotated[str, typer.Argument(help="Such as v_20260301_010203.")],
    second: Annotated[str, typer.Argument(help="The version that it is held against.")],
    as_json: Json = False,
) -> None:
    """What differs between two versions, and which is closer on sessions that neither was trained on.

    Example: studyml versions diff v_20260301_010203 v_20260308_010203
    """
    from studyml.steps.compare_versions import compare_versions

    found = compare_versions(load_settings(), first, second)
    if as_json:
        print_json(found)
        return
    rows = [
        (each["section"], each["name"], _cell(each["first"]), _cell(each["second"])) for each in found["differences"]
    ]
    print_table(("", "", first, second), rows)
    paired = found["paired"]
    if paired is not None:
        typer.echo(
            f"On {paired['rows']} sessions that neither was trained on, {first} is off by"
            f" {hours(paired['first_mae'])} and {second} by {hours(paired['second_mae'])}: {paired['ratio']:.3f} times,"
            f" with 90 % confidence below {paired['upper_bound']:.3f} times."
        )
    for note in found["notes"]:
        say(f"note: {note}")


@versions_app.command("report")
def versions_report(
    version: Annotated[str | None, typer.Argument(help="Default: the champion.")] = None, as_json: Json = False
) -> None:
    """Where a version's evaluation report is, a page for the browser; --json prints what it says.

    Example: studyml versions report
    """
    from studyml.steps.read_evaluation import read_evaluation

    page, document = read_evaluation(load_settings(), version)
    print_json(document) if as_json else typer.echo(page)


@versions_app.command("live")
def versions_live(
    at: Annotated[str | None, typer.Option("--at", help="ISO time, UTC unless it says; default: now.")] = None,
    session: Annotated[int | None, typer.Option(help="Id of a session: what it was served then.")] = None,
    as_json: Json = False,
) -> None:
    """Which version was live at a time, who put it there and why, and what a session was served then.

    Example: studyml versions live --at 2026-03-01T09:00 --session 12
    """
    from studyml.steps.live_version import live_version

    moment = parse_as_of(at, wall_clock(), option="--at")
    found = live_version(load_settings(), moment=moment, session_id=session)
    if as_json:
        print_json(found)
        return
    typer.echo(
        f"{utc_time(moment)}: {found['version']} was live, since {utc_time(found['since'])}"
        f" ({found['action']} by {found['actor']}: {found['reason']})."
    )
    if session is not None:
        served = found["prediction"]
        typer.echo(
            f"Session {session} was served {served['predicted_hours']:.2f} h{_between(served)} by"
            f" {served['model_version']}, of the night of {utc_time(served['as_of'])}, computed"
            f" {utc_time(served['scored_at'])}."
        )


@versions_app.command("prune")
def versions_prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """Remove the files of versions that the weekly upkeep would not keep; their records stay.

    Kept are what is in use, quarantined or could be gone back to, the newest STUDYML_KEEP_VERSIONS, and what served in
    the last STUDYML_KEEP_SERVED_DAYS.

    Example: studyml versions prune --dry-run
    """
    from studyml.steps.prune import prune_versions

    now = wall_clock()
    found = prune_versions(load_settings(), as_of=now, now=now, dry_run=dry_run)
    if as_json:
        print_json({**asdict(found), "dry_run": dry_run})
        return
    word = "would be removed" if dry_run else "removed"
    _show_kept(found.kept, found.versions, word)
    typer.echo(f"{len(found.versions)} versions and {len(found.snapshots)} snapshots {word}.")


def maintain_command(as_of: AsOf = None, as_json: Json = False) -> None:
    """Compare all labels, verify kept versions, prune by policy.

    Example: studyml maintain
    """
    from studyml.steps.maintain import maintain

    now = wall_clock()
    found = maintain(load_settings(), as_of=parse_as_of(as_of, now), now=now)
    if as_json:
        print_json(found)
        return
    _show_kept(found["kept_versions"], found["pruned_versions"], "removed")
    labels = found["labels"]
    typer.echo(f"Labels: {labels['new']} new, {labels['corrected']} corrected, {labels['removed']} removed.")
    typer.echo(
        f"{found['verified']} kept versions are whole. Removed: {len(found['pruned_versions'])} versions,"
        f" {len(found['dropped_snapshots'])} snapshots, {len(found['dropped_nights'])} nights of predictions,"
        f" {len(found['dropped_builds'])} unfinished builds."
    )
    if found["unknown_folders"]:
        typer.echo(f"Left alone, since no version here has that name: {' '.join(found['unknown_folders'])}")


def _show_kept(kept: Mapping[str, str], removed: Sequence[str], word: str) -> None:
    print_table(
        ("version", "", "why"),
        [(version, "kept", why) for version, why in kept.items()]
        + [(version, word, "no rule keeps it") for version in removed],
    )


def _deployed(found: Any) -> str:
    change = f"{found.from_version or 'none'} to {found.to_version}"
    return f"{change}, by {found.actor}: {found.reason}"


def _between(served: dict[str, Any]) -> str:
    if served["lower_hours"] is None:
        return ""
    return f" (80 %: {served['lower_hours']:.2f} to {served['upper_hours']:.2f} h)"


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return utc_time(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
