"""The commands ``studyml alerts``: incidents, and the messages about them."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from studyml.errors import InputError
from studyml.settings import load_settings
from studyml.terminal import By, Json, print_json, print_table, said, wall_clock, who

alerts_app = typer.Typer(
    no_args_is_help=True, help="Incidents and the messages about them.\n\nExample: studyml alerts list"
)


@alerts_app.command("list")
def alerts_list(
    every: Annotated[bool, typer.Option("--all", help="Resolved ones too.")] = False, as_json: Json = False
) -> None:
    """Open incidents, and what is silenced.

    Example: studyml alerts list --all
    """
    from studyml.steps.handle_incidents import incidents, silences

    settings = load_settings()
    found, quiet = incidents(settings, only_open=not every), silences(settings, now=wall_clock())
    if as_json:
        print_json({"incidents": [asdict(each) for each in found], "silences": [asdict(each) for each in quiet]})
        return
    rows = [
        (*(i.id, i.kind, i.severity, i.status), _minute(i.opened_as_of), i.acknowledged_by or "nobody", i.title)
        for i in found
    ]
    if rows:
        print_table(("id", "kind", "urgency", "status", "since", "taken on by", "what"), rows)
    else:
        typer.echo("No incident." if every else "No open incident.")
    for each in quiet:
        typer.echo(f"{each.kind} is silenced until {_minute(each.ends_at)} UTC by {each.actor}: {each.note}")


@alerts_app.command("show")
def alerts_show(
    incident: Annotated[int, typer.Argument(help="Its id, see studyml alerts list.")], as_json: Json = False
) -> None:
    """One incident: what happened to it, and what was sent.

    Example: studyml alerts show 3
    """
    from studyml.steps.handle_incidents import one_incident

    told = one_incident(load_settings(), incident)
    if as_json:
        print_json({**asdict(told.incident), "events": [asdict(each) for each in told.events]})
        return
    typer.echo(f"Incident {told.incident.id}, {told.incident.kind}, {told.incident.status}: {told.incident.title}")
    for each in told.events:
        typer.echo(
            f"\n{_minute(each.recorded_at)} UTC, {each.event} by {each.actor}" + (f": {each.note}" * bool(each.note))
        )
        if each.message_body:
            typer.echo(f"\n    {each.message_subject}\n")
            typer.echo("\n".join(f"    {line}".rstrip() for line in each.message_body.splitlines()))


@alerts_app.command("ack")
def alerts_ack(
    incident: Annotated[int, typer.Argument(help="Its id, see studyml alerts list.")],
    by: Annotated[str | None, typer.Option(help="Who takes it on; default: your login.")] = None,
) -> None:
    """Take an incident on: nobody else is called.

    Example: studyml alerts ack 3 --by ann
    """
    from studyml.steps.handle_incidents import acknowledge_incident

    name = who(by)
    before = acknowledge_incident(load_settings(), incident, now=wall_clock(), name=name)
    instead = f", no longer by {before}" if before not in (None, name) else ""
    typer.echo(f"Incident {incident} is acknowledged by {name}{instead}.")


@alerts_app.command("resolve")
def alerts_resolve(
    incident: Annotated[int, typer.Argument(help="Its id, see studyml alerts list.")],
    note: Annotated[str, typer.Option(help="What was done.")],
    by: By = None,
) -> None:
    """Close an incident by hand; whoever was told of it is told.

    Example: studyml alerts resolve 3 --note retrained --by ann
    """
    from studyml.steps.handle_incidents import resolve_incident

    done, actor = said("--note", note), who(by)
    until = resolve_incident(load_settings(), incident, now=wall_clock(), actor=actor, note=done)
    told = "Tell whoever was told of it now: studyml alerts deliver"
    if until is not None:
        told = f"Whoever was told of it is told after the silence, {until:%Y-%m-%d %H:%M} UTC."
    typer.echo(f"Incident {incident} is resolved. {told}")


@alerts_app.command("silence")
def alerts_silence(
    kind: Annotated[str, typer.Argument(help="A kind of incident, such as degraded.")],
    hours: Annotated[float, typer.Option(help="For how long, at most 744.")] = 24.0,
    note: Annotated[str | None, typer.Option(help="Why, and agreed with whom.")] = None,
    by: By = None,
    end: Annotated[bool, typer.Option("--end", help="End the silence now.")] = False,
) -> None:
    """Send no message about incidents of a kind for a while; they are recorded all the same.

    Example: studyml alerts silence degraded --hours 48 --note "exam weeks"
    """
    from studyml.steps.handle_incidents import silence, unsilence

    settings, now, actor = load_settings(), wall_clock(), who(by)
    if end:
        ended = unsilence(settings, kind, now=now, actor=actor)
        typer.echo(f"{kind} is not silenced any more." if ended else f"{kind} was not silenced.")
        return
    if note is None:
        raise InputError("--note is missing: say why it is silenced, and with whom that was agreed.")
    until = silence(settings, kind, hours=hours, now=now, actor=actor, note=said("--note", note))
    typer.echo(f"{kind} is silenced until {_minute(until)} UTC.")


@alerts_app.command("test")
def alerts_test() -> None:
    """Send a test message to every address, of pages and of tickets.

    Example: studyml alerts test
    """
    from studyml.steps.try_alerts import send_test

    sent = send_test(load_settings(), now=wall_clock())
    typer.echo(f"Sent to {sent} alert addresses.")


@alerts_app.command("deliver")
def alerts_deliver(as_json: Json = False) -> None:
    """Notice nights that lack, escalate what nobody took on, and send the messages that are due.

    Example: studyml alerts deliver
    """
    from studyml.steps.deliver_alerts import deliver_alerts

    result = deliver_alerts(load_settings(), now=wall_clock())
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{result['sent']} sent, {result['pending']} wait for a later try, {result['dead']} given up.")


@alerts_app.command("deliveries")
def alerts_deliveries(
    every: Annotated[bool, typer.Option("--all", help="Sent and older ones too.")] = False, as_json: Json = False
) -> None:
    """Messages that wait, and those given up (dead) in the last 14 days.

    Example: studyml alerts deliveries --all
    """
    from studyml.steps.deliveries import deliveries

    found = deliveries(load_settings(), now=wall_clock(), every=every)
    if as_json:
        print_json([{**asdict(delivery), "kind": kind} for delivery, kind in found])
        return
    rows = [
        (
            *(d.id, _minute(d.recorded_at), d.incident_id, d.subject, f"{d.address} {kind or ''}".rstrip()),
            *(d.status, d.attempts, _minute(d.next_attempt_at), d.last_error),
        )
        for d, kind in found
    ]
    if rows:
        headers = ("id", "when", "incident", "message", "address", "status", "tries", "next try", "last error")
        print_table(headers, rows)
    else:
        typer.echo("No message yet." if every else "Nothing waits, nothing was given up.")


@alerts_app.command("retry")
def alerts_retry(
    message: Annotated[int | None, typer.Argument(help="Its id, see studyml alerts deliveries.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that studyml alerts deliveries shows.")] = False,
) -> None:
    """Make messages due again that were given up or that wait for a later try.

    Example: studyml alerts retry 12
    """
    from studyml.steps.deliveries import retry_deliveries

    if every == (message is not None):
        raise InputError("give the id of one message, or --all: 'studyml alerts deliveries' shows them.")
    count = retry_deliveries(load_settings(), message, now=wall_clock())
    typer.echo(f"{count} {'message is' if count == 1 else 'messages are'} due again. Send now: studyml alerts deliver")


def _minute(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M}"
