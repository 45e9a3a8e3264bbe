"""The commands ``studyml versions``: what was trained."""

import getpass
from dataclasses import asdict
from typing import Annotated

import typer

from studyml.settings import load_settings
from studyml.terminal import Json, hours, print_json, print_table, said, wall_clock

versions_app = typer.Typer(
    no_args_is_help=True, help="Model versions and their artifacts.\n\nExample: studyml versions list"
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
def versions_show(version: Annotated[str, typer.Argument(help="Such as v_20260301_010203.")]) -> None:
    """One version with its metrics and gates, as JSON.

    Example: studyml versions show v_20260301_010203
    """
    from studyml.steps.records import one_version

    print_json(asdict(one_version(load_settings(), version)))


@versions_app.command("verify")
def versions_verify(version: Annotated[str | None, typer.Argument(help="Default: the champion.")] = None) -> None:
    """Check a version's files against its manifest.

    Example: studyml versions verify
    """
    from studyml.steps.verify_version import verify_version

    typer.echo(f"{verify_version(load_settings(), version)} is whole.")


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


@versions_app.command("promote")
def versions_promote(
    version: Annotated[str, typer.Argument(help="A retired or rejected version.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
) -> None:
    """Verify another version and make it champion, by hand.

    Example: studyml versions promote v_20260301_010203 --reason damaged
    """
    from studyml.steps.promote_version import promote_version

    why = said("--reason", reason)
    replaced = promote_version(load_settings(), version, now=wall_clock(), actor=getpass.getuser(), reason=why)
    typer.echo(f"{version} serves from now on, in place of {replaced or 'none'}. Predict with it now: studyml score")
