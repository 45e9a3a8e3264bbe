"""The commands that decide what serves: ``studyml versions promote, rollback, approve, reject, retire``."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from studyml.errors import RegistryError, StudymlError
from studyml.settings import load_settings
from studyml.terminal import By, Json, Reason, print_json, said, say, utc_time, wall_clock, who

_FromQuarantine = Annotated[
    bool, typer.Option("--from-quarantine", help="A version that was taken back may serve again: name it.")
]
_Waiting = Annotated[str, typer.Argument(help="The version that awaits approval.")]


def promote_command(
    version: Annotated[str, typer.Argument(help="A retired or rejected version.")],
    reason: Reason,
    by: By = None,
    from_quarantine: _FromQuarantine = False,
    as_json: Json = False,
) -> None:
    """Verify another version and make it champion, by hand and past the gates; the present one is retired.

    Its predictions come with the next scoring. To take a bad version back, use rollback: it is quarantined then.

    Example: studyml versions promote v_20260301_010203 --reason "the champion's files are damaged"
    """
    from studyml.steps.promote_version import promote_version

    why, actor = said("--reason", reason), who(by)
    replaced = promote_version(
        load_settings(), version, now=wall_clock(), actor=actor, reason=why, from_quarantine=from_quarantine
    )
    if as_json:
        print_json({"version": version, "replaced": replaced, "actor": actor, "reason": why})
    else:
        typer.echo(f"{version} serves from now on, in place of {replaced or 'none'}. Predict with it: studyml score")


def rollback_command(
    reason: Reason,
    version: Annotated[
        str | None, typer.Argument(help="Default: the newest that served before, is not quarantined, and is whole.")
    ] = None,
    by: By = None,
    no_rescore: Annotated[
        bool, typer.Option("--no-rescore", help="Leave the newest night's predictions: 'studyml score' makes them.")
    ] = False,
    from_quarantine: _FromQuarantine = False,
    as_json: Json = False,
) -> None:
    """Go back to an earlier version: verified first, it serves at once; the present one is quarantined.

    Quarantined: kept, and never chosen again by itself. Then the newest night is scored again; where that fails, the
    rollback stands and the exit status is 1.

    Example: studyml versions rollback --reason "twice as long as it should be"
    """
    from studyml.steps.rollback_version import rescore, rollback_version

    why, actor, settings = said("--reason", reason), who(by), load_settings()
    done = rollback_version(
        settings, version, now=wall_clock(), actor=actor, reason=why, from_quarantine=from_quarantine
    )
    document: dict[str, Any] = {**asdict(done), "actor": actor, "reason": why, "rescored": None, "rescore_error": None}
    for each in done.skipped.values():
        say(f"passed over: {each}")
    if not as_json:
        typer.echo(f"{done.version} serves from now on; {done.quarantined} is quarantined.")
    failure: StudymlError | None = None
    if not no_rescore:
        try:
            document["rescored"] = rescore(settings, now=wall_clock(), progress=say)
        except StudymlError as error:
            failure = error
            document["rescore_error"] = str(error)
    if as_json:
        print_json(document)
    elif failure is None:
        typer.echo(_rescored(document["rescored"]))
    if failure is not None:
        raise failure


def _rescored(found: dict[str, Any] | None) -> str:
    if found is None:
        return "The newest predictions are still those of before. Predict with it: studyml score"
    return f"{found['written']} predictions of the night of {utc_time(found['as_of'])} are its own."


def approve_command(version: _Waiting, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Make the version that awaits approval champion; the present one is retired.

    Where another champion serves than the one it was judged against, it is judged again, and rejected if it does not
    pass: exit status 1.

    Example: studyml versions approve v_20260301_010203 --reason reviewed
    """
    from studyml.steps.approve_version import approve_version

    why, actor = said("--reason", reason), who(by)
    found = approve_version(load_settings(), version, now=wall_clock(), actor=actor, reason=why)
    if as_json:
        print_json({**found, "actor": actor, "reason": why})
    if not found["promoted"]:
        raise RegistryError(f"{version} was judged again and rejected: {'; '.join(found['reasons'])}.")
    since = "from now on. Predict with it now: studyml score" if found["reasons"] else "already."
    _tell(f"{version} serves {since}", as_json)


def reject_command(version: _Waiting, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Reject the version that awaits approval; the champion stays.

    Example: studyml versions reject v_20260301_010203 --reason unexplained
    """
    from studyml.steps.approve_version import reject_version

    why, actor = said("--reason", reason), who(by)
    if not reject_version(load_settings(), version, actor=actor, reason=why):
        raise RegistryError(f"{version} does not wait for approval: 'studyml versions list' shows what does.")
    _tell(f"{version} is rejected; the champion stays.", as_json, version=version, actor=actor, reason=why)


def retire_command(
    version: Annotated[str, typer.Argument(help="The challenger.")],
    reason: Reason,
    by: By = None,
    as_json: Json = False,
) -> None:
    """End the trial of a challenger; the champion serves everybody from the next scoring on.

    Example: studyml versions retire v_20260301_010203 --reason damaged
    """
    from studyml.steps.decide_challenger import retire_challenger

    why, actor = said("--reason", reason), who(by)
    retire_challenger(load_settings(), version, now=wall_clock(), actor=actor, reason=why)
    words = f"The trial of {version} is over. Predict without it now: studyml score"
    _tell(words, as_json, version=version, actor=actor, reason=why)


def _tell(words: str, as_json: bool, **document: Any) -> None:
    """The result for a person, or for a program; nothing more where the program has its document already."""
    if not as_json:
        typer.echo(words)
    elif document:
        print_json(document)


def register(app: typer.Typer) -> None:
    """Add the commands to ``studyml versions``."""
    app.command("promote")(promote_command)
    app.command("rollback")(rollback_command)
    app.command("approve")(approve_command)
    app.command("reject")(reject_command)
    app.command("retire")(retire_command)
