"""One whole night in one process: what ``studyml_nightly`` does, without Airflow."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from studyml.errors import InputError, SourceError, StudymlError
from studyml.settings import Settings
from studyml.steps.check_retraining import check_retraining
from studyml.steps.decide_challenger import decide_challenger
from studyml.steps.evaluate_candidate import evaluate_candidate
from studyml.steps.finish_night import finish_night
from studyml.steps.monitor import monitor
from studyml.steps.notify import notify
from studyml.steps.observe import observe
from studyml.steps.publish_version import publish_version
from studyml.steps.report_failure import report_failure
from studyml.steps.score import score
from studyml.steps.start_night import start_night
from studyml.steps.train_candidate import train_candidate

Progress = Callable[[str], None]
Step = Callable[[str], AbstractContextManager[None]]


def night(settings: Settings, *, as_of: datetime, now: datetime, progress: Progress) -> dict[str, Any]:
    """Live the night of ``as_of``; return what happened.

    A step that fails is told to the on-call engineer, as a task of the DAG would be. A failed retraining, or trial
    without whose decision none is begun, does not stop scoring; its error is raised at the end, when the night is
    finished.
    """
    step = partial(_told, settings, as_of, now)
    with step("start_night"):
        replay = start_night(settings, as_of=as_of, now=now)
    progress("observing outcomes")
    with step("observe"):
        observed = observe(settings, as_of=as_of, now=now)
    progress("judging the served predictions")
    with step("judge"):
        verdict = monitor(settings, as_of=as_of, now=now)[0]
    with step("notify"):
        notified = notify(settings, as_of=as_of, now=now)
    trial, retraining, failure = _decide(settings, step, as_of=as_of, now=now, progress=progress)
    with step("score"):
        scoring = score(settings, as_of=as_of, now=now, progress=progress)
    try:
        with step("finish"):
            finish_night(settings, as_of=as_of, now=now)
    except Exception:
        notify(settings, as_of=as_of, now=now)
        raise
    with step("notify"):
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


def _decide(
    settings: Settings, step: Step, *, as_of: datetime, now: datetime, progress: Progress
) -> tuple[dict[str, Any] | None, dict[str, Any] | None, Exception | None]:
    """The decisions of the trial and of the retraining, None where there is none, and the error that ended them."""
    trial: dict[str, Any] | None = None
    try:
        progress("deciding the trial of the challenger")
        with step("decide_challenger"):
            trial = decide_challenger(settings, as_of=as_of, now=now)
        with step("retrain"):
            return trial, retrain(settings, as_of=as_of, now=now, progress=progress), None
    except Exception as error:  # noqa: BLE001  # raised in the end; analysts get their predictions whatever it is
        progress(f"the {'trial' if trial is None else 'retraining'} failed: {error}")
        return trial, None, error


@contextmanager
def _told(settings: Settings, as_of: datetime, now: datetime, step: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise  # a mistake of whoever sits at the terminal
    except Exception as error:
        report_failure(
            settings,
            dag_id="studyml_nightly",
            task_id=step,
            dag_run_id="studyml night, without Airflow",
            as_of=as_of,
            error=str(error) if isinstance(error, StudymlError) else f"{type(error).__name__}: {error}",
            now=now,
            source_broken=isinstance(error, SourceError),
        )
        raise


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
