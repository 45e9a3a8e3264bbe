"""One whole night in one process: what ``studyml_nightly`` does, without Airflow."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from studyml.alerting.messages import WITHOUT_AIRFLOW
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
Clock = Callable[[], datetime]
Step = Callable[[str], AbstractContextManager[None]]


def night(
    settings: Settings,
    *,
    as_of: datetime,
    now: datetime,
    progress: Progress,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Live the night of ``as_of``, begun at ``now``; return what happened. ``clock`` tells when it ends, else ``now``.

    A step that fails is told to the on-call engineer, as a task of the DAG would be, and what needs it is left out.
    But for the first step, which tells whether the night can be lived at all, none stops scoring: the first error is
    raised at the end. The night is finished where its outcomes were judged and told.
    """
    failures: list[Exception] = []
    told = partial(_told, settings, as_of, now)
    attempt = partial(_attempted, told, progress, failures)
    with told("start_night"):
        replay = start_night(settings, as_of=as_of, now=now)
    lived = _judge(settings, attempt, as_of=as_of, now=now, progress=progress)
    is_judged = not failures
    lived |= _decide(settings, attempt, lived, as_of=as_of, now=now, progress=progress)
    with told("score"):
        lived["scoring"] = score(settings, as_of=as_of, now=now, progress=progress)
    if is_judged:
        try:
            with told("finish"):
                finish_night(settings, as_of=as_of, now=clock() if clock else now)
        finally:
            with told("notify"):
                later = notify(settings, as_of=as_of, now=clock() if clock else now)
        sent = lived["messages"]
        lived["messages"] = {**later, "sent": sent["sent"] + later["sent"], "dead": sent["dead"] + later["dead"]}
    if failures:
        raise failures[0]
    return {"as_of": as_of.isoformat(), "replay": replay, **lived}


def _judge(settings: Settings, attempt: Step, *, as_of: datetime, now: datetime, progress: Progress) -> dict[str, Any]:
    """What was observed, the verdict on it and what was told, None where a step failed or one that it needs."""
    found: dict[str, Any] = {"observed": None, "monitoring": None, "messages": None}
    progress("observing outcomes")
    with attempt("observe"):
        found["observed"] = observe(settings, as_of=as_of, now=now)
    if found["observed"] is not None:
        progress("judging the served predictions")
        with attempt("judge"):
            found["monitoring"] = monitor(settings, as_of=as_of, now=now)[0]
    if found["monitoring"] is not None:
        with attempt("notify"):
            found["messages"] = notify(settings, as_of=as_of, now=now)
    return found


def _decide(
    settings: Settings, attempt: Step, lived: dict[str, Any], *, as_of: datetime, now: datetime, progress: Progress
) -> dict[str, Any]:
    """The decisions of the trial and of the retraining, None where there is none, or a step failed that it needs."""
    found: dict[str, Any] = {"trial": None, "retraining": None}
    if lived["observed"] is not None:
        progress("deciding the trial of the challenger")
        with attempt("decide_challenger"):
            found["trial"] = decide_challenger(settings, as_of=as_of, now=now)
    if lived["monitoring"] is not None and found["trial"] is not None:
        with attempt("retrain"):
            found["retraining"] = retrain(settings, as_of=as_of, now=now, progress=progress)
    return found


@contextmanager
def _attempted(told: Step, progress: Progress, failures: list[Exception], step: str) -> Iterator[None]:
    """Go on after a step that fails, with its error among the ``failures``."""
    try:
        with told(step):
            yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001  # raised in the end; analysts get their predictions whatever it is
        progress(f"{step} failed: {error}")
        failures.append(error)


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
            dag_run_id=WITHOUT_AIRFLOW,
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
        progress("no retraining is due" if not force else "nothing was trained: see why above")
        return None
    progress("training")
    train_candidate(settings, retraining_run_id=run_id, now=now)
    progress("judging the candidate")
    evaluate_candidate(settings, retraining_run_id=run_id)
    progress("publishing")
    return publish_version(settings, retraining_run_id=run_id, now=now)
