"""``studyml dev``: what ``make run``, ``make up`` and ``make down`` call.

Imported by every ``studyml`` command, so each command here imports what it needs itself.
"""

from pathlib import Path
from typing import Annotated

import typer

dev_app = typer.Typer(
    no_args_is_help=True,
    help="PostgreSQL and Airflow on this machine, for trying and developing.\n\nExample: studyml dev up",
)
postgres_app = typer.Typer(
    no_args_is_help=True, help="The embedded PostgreSQL of this checkout.\n\nExample: studyml dev postgres url"
)
dev_app.add_typer(postgres_app, name="postgres")

Data = Annotated[Path | None, typer.Option("--data", help="Folder of CSV files; without it data are simulated.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="One night at this time (UTC) instead of the newest two.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Seed of the simulated data.")]


@dev_app.command("run")
def run(data: Data = None, as_of: AsOf = None, seed: Seed = None) -> None:
    """Bring everything up, live the nights through Airflow, say what happened, stop everything.

    Example: studyml dev run
    """
    from studyml.development import run as runner

    runner.run(data, as_of, seed)


@dev_app.command("up")
def up(
    data: Data = None,
    as_of: AsOf = None,
    seed: Seed = None,
    schedule: Annotated[bool, typer.Option("--schedule", help="Let nights start on schedule.")] = False,
) -> None:
    """As run, but Airflow stays up on 127.0.0.1 with its UI.

    Example: studyml dev up --schedule
    """
    from studyml.development import run as runner

    runner.up(data, as_of, seed, with_schedule=schedule)


@dev_app.command("down")
def down(
    remove_data: Annotated[bool, typer.Option("--remove-data", help="Also delete the databases.")] = False,
) -> None:
    """Stop Airflow and PostgreSQL.

    Example: studyml dev down
    """
    from studyml.development import run as runner

    stopped = runner.down()
    typer.echo(f"Stopped {' and '.join(stopped)}." if stopped else "Nothing was running.")
    if remove_data:
        runner.remove()
        typer.echo("Deleted the databases.")


@postgres_app.command("start")
def postgres_start() -> None:
    """Start PostgreSQL on 127.0.0.1 and leave it running.

    Example: studyml dev postgres start
    """
    from studyml.development import postgres
    from studyml.development.state import default_state_dir

    server = postgres.start(default_state_dir())
    postgres.keep(default_state_dir())
    typer.echo(f"PostgreSQL runs on {server.host}:{server.port}; its address with password: studyml dev postgres url")


@postgres_app.command("stop")
def postgres_stop() -> None:
    """Stop PostgreSQL.

    Example: studyml dev postgres stop
    """
    from studyml.development import postgres
    from studyml.development.state import default_state_dir

    typer.echo("Stopped PostgreSQL." if postgres.stop(default_state_dir()) else "PostgreSQL was not running.")


@postgres_app.command("url")
def postgres_url(
    database: Annotated[str, typer.Option("--database", help="Name of the database.")] = "studyml",
) -> None:
    """Print the address of a database, password included.

    Example: studyml dev postgres url --database airflow
    """
    from studyml.development import postgres
    from studyml.development.state import default_state_dir

    typer.echo(postgres.url(default_state_dir(), database))
