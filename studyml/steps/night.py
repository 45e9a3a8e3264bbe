"""One whole night in one process: what ``studyml_nightly`` does, without Airflow."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from studyml.errors import StudymlError
from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from studyml.steps.decide_challenger import decide_challenger
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.finish_night import finish_night
from studyml.steps.monitor import monitor
from studyml.steps.notify import notify
from studyml.steps.observe import observe
from studyml.steps.publish_version import publish_version
from studyml.steps.score import score
from studyml.steps.start_night import start_night
from studyml.steps.train_candidate import train_candidate

Progress = Callable[[str], None]


def night(settings: Settings, *, as_of: datetime, now: datetime, progress: Progress) -> dict[str, Any]:
    """Live the night of ``as_of``; return what happened.

    A failed retraining does not stop scoring; its error is raised at the end, when the night is finished.
    """
    replay = start_night(settings, as_of=as_of, now=now)
    progress("observing outcomes")
    observed = observe(settings, as_of=as_of, now=now)
    progress("judging the served predictions")
    verdict = monitor(settings, as_of=as_of, now=now)[0]
    notified = notify(settings, as_of=as_of, now=now)
    progress("deciding the trial of the challenger")
    trial = decide_challenger(settings, as_of=as_of, now=now)
    failure: StudymlError | None = None
    retraining: dict[str, Any] | None = None
    try:
        retraining = retrain(settings, as_of=as_of, now=now, progress=progress)
    except StudymlError as error:
        failure = error
        progress(f"the retraining failed: {error}")
    scoring = score(settings, as_of=as_of, now=now, progress=progress)
    finish_night(settings, as_of=as_of, now=now)
    later = notify(settings, as_of=as_of, now=now)
    if failure is not None:
        raise failure
    return {
        "as_of": as_of.isoformat(),
        "replay": replay,
        "observed": observed,
        "monitoring": verdict,
        "messages": {**later, "sent": notified["sent"] + later["sent"], "dead": notified["dead"] + later["dead"]},
        "trial": trial,
        "retraining": retraining,
        "scoring": scoring,
    }


def retrain(
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    progress: Progress,
    force: bool = False,
    reason: str | None = None,
) -> dict[str, Any] | None:
    """Retrain if it is due; return the decision, or None where it was skipped."""
    run_id = check_retraining(settings, as_of=as_of, now=now, force=force, reason=reason)
    if run_id is None:
        progress("no retraining is due")
        return None
    progress("training")
    train_candidate(settings, retraining_run_id=run_id, now=now)
    progress("judging the candidate")
    evaluate_candidate(settings, retraining_run_id=run_id)
    progress("publishing")
    return publish_version(settings, retraining_run_id=run_id, now=now)
