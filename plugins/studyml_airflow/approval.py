"""Airflow's approval step, with the deadline of the settings."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from studyml_airflow.settings import load_settings

#: Where the settings cannot be asked yet, when a DAG file is read; the same as STUDYML_APPROVAL_HOURS by default.
RESPONSE_TIMEOUT = timedelta(hours=72)

ANSWER = "answer"


class CandidateApproval(ApprovalOperator):
    """Ask a person; without an answer within STUDYML_APPROVAL_HOURS the default option is taken."""

    def execute(self, context: Any) -> Any:
        """Read the deadline from the settings when the question is asked: reading a DAG file reads no setting."""
        self.response_timeout = timedelta(hours=load_settings().approval_hours)
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer under its own key: where it is no, the operator ends before it returns one."""
        if "error" not in event:
            answer = {name: event[name] for name in ("chosen_options", "responded_by_user")}
            context["ti"].xcom_push(key=ANSWER, value=answer)
        return super().execute_complete(context, event)
