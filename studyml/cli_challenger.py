"""The commands about a version that is tried or waits: ``studyml versions approve``, ``reject`` and ``retire``."""

import getpass
from typing import Annotated

import typer

from studyml.errors import RegistryError
from studyml.settings import load_settings
from studyml.terminal import said, wall_clock

_Waiting = Annotated[str, typer.Argument(help="The version that awaits approval.")]
_Reason = Annotated[str, typer.Option(help="Why, for the record.")]


def approve_command(version: _Waiting, reason: _Reason) -> None:
    """Make the version that awaits approval champion.

    Example: studyml versions approve v_20260301_010203 --reason reviewed
    """
    from studyml.steps.approve_version import approve_version

    why = said("--reason", reason)
    found = approve_version(load_settings(), version, now=wall_clock(), actor=getpass.getuser(), reason=why)
    if not found["promoted"]:
        raise RegistryError(f"{version} was judged again and rejected: {'; '.join(found['reasons'])}.")
    typer.echo(f"{version} serves from now on. Predict with it now: studyml score")


def reject_command(version: _Waiting, reason: _Reason) -> None:
    """Reject the version that awaits approval; the champion stays.

    Example: studyml versions reject v_20260301_010203 --reason unexplained
    """
    from studyml.steps.approve_version import reject_version

    why = said("--reason", reason)
    if not reject_version(load_settings(), version, actor=getpass.getuser(), reason=why):
        raise RegistryError(f"{version} does not wait for approval: 'studyml versions list' shows what does.")
    typer.echo(f"{version} is rejected; the champion stays.")


def retire_command(
    version: Annotated[str, typer.Argument(help="The challenger.")],
    reason: _Reason,
) -> None:
    """End the trial of a challenger; the champion serves everybody from the next scoring on.

    Example: studyml versions retire v_20260301_010203 --reason damaged
    """
    from studyml.steps.decide_challenger import retire_challenger

    why = said("--reason", reason)
    retire_challenger(load_settings(), version, now=wall_clock(), actor=getpass.getuser(), reason=why)
    typer.echo(f"The trial of {version} is over. Predict without it now: studyml score")


def register(app: typer.Typer) -> None:
    """Add the commands to ``studyml versions``."""
    app.command("approve")(approve_command)
    app.command("reject")(reject_command)
    app.command("retire")(retire_command)
