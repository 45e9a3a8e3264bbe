"""What happens when a task has failed for good: an incident with a message, and the reason as the log's last line."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import BaseNotifier

from studyml_airflow.context import resolve_as_of, utc_now
from studyml_airflow.settings import load_settings

LOG = logging.getLogger("studyml")


class FailureNotifier(BaseNotifier):
    """Calls ``studyml.steps.report_failure``; the default failure callback of all tasks.

    When that fails too (the database is down, the Connection is missing), the log says so: the failure itself is
    never hidden by the report of it. A killed process runs no callback: see the heartbeat in docs/operations.md.
    """

    def notify(self, context: Mapping[str, Any]) -> None:
        """Report the failure of the context's task."""
        from studyml.errors import SourceError, StudymlError

        sentence = describe(context.get("exception"))
        try:
            _report(context, sentence, source_broken=isinstance(context.get("exception"), SourceError))
        except StudymlError as error:
            LOG.warning("This failure is not in the list of incidents: %s", error)
        finally:
            LOG.error("%s", sentence)


def describe(error: object) -> str:
    """Return one line for people: a user's mistake has its sentence, a bug its type and message."""
    from studyml.errors import StudymlError

    if error is None:
        return "The task ended without an error of its own: killed, out of memory, or its worker was lost."
    if isinstance(error, StudymlError | str):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _report(context: Mapping[str, Any], sentence: str, *, source_broken: bool) -> None:
    from studyml.steps.report_failure import report_failure

    task_instance = context["ti"]
    report_failure(
        load_settings(),
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        dag_run_id=task_instance.run_id,
        as_of=_as_of(context),
        error=sentence,
        now=utc_now(),
        source_broken=source_broken,
    )


def _as_of(context: Mapping[str, Any]) -> datetime:
    """Return the run's as_of; where a wrong param is the very failure to report, the instant it was due."""
    from studyml.errors import InputError

    try:
        return resolve_as_of(context)
    except InputError:
        return resolve_as_of({**context, "params": {}})
