"""What every task and DAG of studyml has in common: owner, retries, timeouts, failure notifier, tags."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, RetryDecision, RetryPolicy

from studyml_airflow.notifier import FailureNotifier

OWNER = "studyml"
TAGS = ["studyml", "study-time"]

# Without catch-up nothing is scheduled before an interval that is open today; old enough for any backfill.
START_DATE = datetime(2010, 1, 1, tzinfo=UTC)

# The same as STUDYML_STATEMENT_TIMEOUT_SECONDS: neither waits for the other.
STEP_TIMEOUT = timedelta(minutes=30)
TRAINING_TIMEOUT = timedelta(hours=3)
MAINTENANCE_TIMEOUT = timedelta(hours=2)
DELIVERY_TIMEOUT = timedelta(minutes=10)

# What a run may choose for its training. Reading a DAG file imports nothing of studyml, so this is written out here and
# held against studyml/settings.py and studyml/hyperparameters.py by tests/plugins/test_training_params.py.
ARCHITECTURES = ("auto", "mlp", "ensemble", "lstm", "attention")
RECIPES = ("auto", "guide", "selected", "history")
HYPERPARAMETERS: dict[str, dict[str, Any]] = {
    "neurons": {"type": "integer", "minimum": 4, "maximum": 4096},
    "layers": {"type": "integer", "minimum": 1, "maximum": 8},
    "dropout": {"type": "number", "minimum": 0, "exclusiveMaximum": 0.95},
    "learning_rate": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    "schedule": {"type": "string", "enum": ["constant", "cosine", "plateau"]},
    "epochs": {"type": "integer", "minimum": 1, "maximum": 100_000},
    "batch_size": {"type": "integer", "minimum": 1, "maximum": 65_536},
    "stop_patience": {"type": "integer", "minimum": 1},
    "l2": {"type": "number", "minimum": 0, "maximum": 10},
    "clipnorm": {"type": "number", "exclusiveMinimum": 0},
    "initializer": {"type": "string", "enum": ["glorot_uniform", "he_normal"]},
    "augmentation": {"type": "number", "minimum": 0, "maximum": 10},
    "outliers": {"type": "string", "enum": ["keep", "remove"]},
}

DATE_PATTERN = r"^\d{4}-\d\d-\d\d$"
AS_OF_PATTERN = r"^\d{4}-\d\d-\d\d([T ]\S+)?$"


class RetryWhatTimeMends(RetryPolicy):
    """Fail at once on an error that says of itself (``retryable = False``) that trying again cannot mend it.

    Any other error, also a bug's, is retried as the task's ``retries`` say.
    """

    def evaluate(self, exception: BaseException, *_: Any, **__: Any) -> RetryDecision:
        """Decide from the exception alone; see RetryPolicy."""
        if getattr(exception, "retryable", True):
            return RetryDecision.default()
        return RetryDecision.fail()


DEFAULT_ARGS: dict[str, Any] = {
    "owner": OWNER,
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 4,
    "max_retry_delay": timedelta(minutes=15),
    "retry_policy": RetryWhatTimeMends(),
    "execution_timeout": STEP_TIMEOUT,
    "on_failure_callback": FailureNotifier(),
}


def dag_arguments(doc: str | None) -> dict[str, Any]:
    """Return the keyword arguments that all DAGs share; ``doc`` is the DAG file's docstring, shown on its page."""
    return {
        "doc_md": doc,
        "default_args": DEFAULT_ARGS,
        "tags": TAGS,
        "start_date": START_DATE,
        "catchup": False,
        "max_active_runs": 1,
    }


def as_of_param(meaning: str) -> Param:
    """Return the DAG param ``as_of``: null, or an ISO 8601 date or date-time; ``meaning`` says what null stands for."""
    return Param(
        None,
        type=["null", "string"],
        format="date-time",
        pattern=AS_OF_PATTERN,
        title="as_of",
        description=f"The UTC instant to live, such as 2026-03-01T01:00:00Z. Empty: {meaning}.",
    )


def training_params() -> dict[str, Param]:
    """Return the DAG params of what is trained; null stands for the setting, and a wrong value is refused at once."""
    return {
        "architecture": _choice_param("architecture", ARCHITECTURES, "Network architecture"),
        "recipe": _choice_param("recipe", RECIPES, "Training recipe"),
        "hyperparameters": Param(
            None,
            type=["null", "object"],
            properties=HYPERPARAMETERS,
            additionalProperties=False,
            title="hyperparameters",
            description='Changes to every recipe, such as {"dropout": 0.4}; {} for none. Empty: the setting.',
        ),
        "training_from": Param(
            None,
            type=["null", "string"],
            format="date",
            pattern=DATE_PATTERN,
            title="training_from",
            description="Learn from sessions since this UTC date only, such as 2026-07-24. Empty: the setting.",
        ),
    }


def _choice_param(name: str, choices: tuple[str, ...], meaning: str) -> Param:
    return Param(
        None,
        type=["null", "string"],
        enum=[None, *choices],
        title=name,
        description=f"{meaning}: {', '.join(choices[:-1])} or {choices[-1]}. Empty: the setting.",
    )
