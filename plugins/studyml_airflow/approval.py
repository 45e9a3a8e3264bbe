"""Airflow's approval step, with the deadline of the candidate that waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

from studyml_airflow.context import utc_now

#: Stands in while a DAG file is read, when no candidate is known; the same as STUDYML_APPROVAL_HOURS by default.
RESPONSE_TIMEOUT = timedelta(hours=72)

#: Airflow takes no time at all for no deadline.
_SHORTEST = timedelta(seconds=1)

ANSWER = "answer"


@contextmanager
def skipped_when_settled() -> Iterator[None]:
    """Skip the task where its candidate waits no longer: a command answered, or another one took its place.

    Airflow keeps the question open after that. Nothing is broken then, and nobody is to be paged.
    """
    from studyml.errors import NotWaitingError

    try:
        yield
    except NotWaitingError as error:
        raise AirflowSkipException(f"The answer came too late: {error}") from None


class CandidateApproval(ApprovalOperator):
    """Ask a person; without an answer by ``deadline`` (ISO 8601, templated) the default option is taken."""

    template_fields = ("subject", "body", "deadline")

    def __init__(self, *, deadline: str, **kwargs: Any) -> None:
        super().__init__(response_timeout=RESPONSE_TIMEOUT, **kwargs)
        self.deadline = deadline

    def execute(self, context: Any) -> Any:
        """Wait as long as the candidate does, which the nights reject at the same instant."""
        self.response_timeout = max(datetime.fromisoformat(self.deadline) - utc_now(), _SHORTEST)
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer under its own key: where it is no, the operator ends before it returns one."""
        if "error" not in event:
            answer = {name: event[name] for name in ("chosen_options", "responded_by_user")}
            context["ti"].xcom_push(key=ANSWER, value=answer)
        return super().execute_complete(context, event)
