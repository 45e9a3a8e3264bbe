"""The trial of a challenger, once a night: promote it, retire it, or let it go on. And no candidate waits for ever."""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from studyml.database.connection import Connection, advisory_lock
from studyml.database.nights import is_replay
from studyml.database.paired import paired_outcomes
from studyml.errors import RegistryError
from studyml.evaluation.trial import PROMOTE, RETIRE, Finding, Pairs, judge_trial
from studyml.registry.trials import Trial, TrialNight, end_trial, looks_before, present_trial, record_night, trial_night
from studyml.registry.versions import champion, promote
from studyml.settings import Settings
from studyml.steps.approve_version import expire_waiting
from studyml.steps.opening import own_database
from studyml.steps.recipients import redacted
from studyml.steps.serving import open_version

_logger = logging.getLogger("studyml")
ACTOR = "studyml"


def decide_challenger(settings: Settings, *, as_of: datetime, now: datetime) -> dict[str, Any]:
    """Decide the trial by the paired outcomes of its nights, and store its state; return it with ``promoted``.

    Without a challenger ``decision`` is None. A replay decides nothing, and a night that is run again repeats its
    decision. A candidate that waits for approval beyond its deadline is rejected here too. Raises ArtifactError where
    the challenger that would be promoted is damaged.
    """
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        if is_replay(connection, as_of):
            return _result(None)
        expire_waiting(settings, connection, now=now)
        trial = present_trial(connection)
        if trial is None:
            connection.commit()
            return _result(trial_night(connection, as_of))
        found = _judge(settings, connection, trial, as_of)
        night = TrialNight(trial.challenger.version, trial.champion, **asdict(found))
        record_night(connection, night, as_of=as_of, now=now)
        _act(settings, connection, trial, found, as_of=as_of, now=now)
        connection.commit()
    _logger.info("challenger %s %s: %s", night.challenger, night.decision, night.reason)
    return _result(night)


def retire_challenger(settings: Settings, version: str, *, now: datetime, actor: str, reason: str) -> None:
    """End the trial of ``version`` by hand; raises RegistryError where it is not on trial."""
    with own_database(settings) as connection, advisory_lock(connection, "registry"):
        trial = present_trial(connection)
        if trial is None or trial.challenger.version != version:
            running = "no version is on trial" if trial is None else f"{trial.challenger.version} is"
            raise RegistryError(f"{version} is not on trial ({running}): there is nothing to retire.")
        said = {"actor": redacted(settings, actor), "reason": redacted(settings, reason)}
        end_trial(connection, version, as_of=now, now=now, **said)
        connection.commit()


def _judge(settings: Settings, connection: Connection, trial: Trial, as_of: datetime) -> Finding:
    version, present = trial.challenger.version, champion(connection)
    looks = looks_before(connection, version, as_of)
    if present is None or present.version != trial.champion:
        serving = "no version" if present is None else present.version
        reason = f"{serving} serves by now, and the trial was one against {trial.champion}"
        return Finding(RETIRE, reason, looks, 0, 0)
    pairs = paired_outcomes(
        connection,
        challenger=version,
        champion=trial.champion,
        since=trial.since,
        oldest=trial.since - timedelta(days=settings.scoring_grace_days + 1),
        as_of=as_of,
    )
    students, dates = (pairs[name].astype(np.int64) for name in ("student_id", "session_date"))
    actual, ours, theirs = (pairs[name].astype(np.float64) for name in ("actual", "champion", "challenger"))
    return judge_trial(
        Pairs(students, dates, actual, champion=ours, challenger=theirs),
        minimum=settings.challenger_min_outcomes,
        looks_taken=looks,
        time_is_over=as_of - trial.since >= timedelta(days=settings.challenger_max_days),
        seed=settings.seed,
    )


def _act(
    settings: Settings, connection: Connection, trial: Trial, found: Finding, *, as_of: datetime, now: datetime
) -> None:
    version = trial.challenger.version
    if found.decision == PROMOTE:
        open_version(settings, trial.challenger)
        promote(
            connection,
            version,
            replacing=trial.champion,
            as_of=as_of,
            now=now,
            actor=ACTOR,
            reason=found.reason,
            statuses=("challenger",),
        )
    elif found.decision == RETIRE:
        end_trial(connection, version, as_of=as_of, now=now, actor=ACTOR, reason=found.reason)


def _result(night: TrialNight | None) -> dict[str, Any]:
    if night is None:
        return {"decision": None, "version": None, "promoted": False}
    figures = {name: value for name, value in asdict(night).items() if name != "challenger"}
    return {"version": night.challenger, "promoted": night.decision == PROMOTE, **figures}
