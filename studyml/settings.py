"""Settings: the environment ``STUDYML_*``, parsed once at an entry point into one frozen object and passed down."""

import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from studyml import addresses
from studyml.errors import SettingsError
from studyml.hyperparameters import Hyperparameters

# PostgreSQL counts timeouts in milliseconds of 31 bits, and days are added to dates: both have an end.
_LONGEST_DAYS = 36_500
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")


class Settings(BaseSettings):
    """All settings; each field's description is the line in ``.env.example`` and ``docs/operations.md``."""

    model_config = SettingsConfigDict(
        env_prefix="STUDYML_", frozen=True, extra="ignore", env_ignore_empty=True, allow_inf_nan=False
    )

    database_url: SecretStr = Field(description="our own database: postgresql://user:password@host:port/name")
    source_url: SecretStr | None = Field(None, description="the study app's database; empty: database_url")
    source_schema: str = Field("public", description="schema of students, topics and study_sessions")
    source_timezone: str = Field("UTC", description="time zone in which the source's naive times are read")
    artifact_root: Path | str = Field(
        Path("artifacts"), description="folder of the model versions, shared by all workers, or s3://bucket/prefix"
    )
    artifact_cache: Path = Field(
        Path("~/.cache/studyml"), description="folder of this machine's own: copies where artifact_root is s3://"
    )

    baseline_mae: float = Field(0.99, gt=0, description="baseline MAE of the guide, hours")
    degraded_ratio: float = Field(1.2, gt=1, description="suspected above this multiple of the baseline MAE")
    monitoring_window_days: int = Field(30, ge=1, le=_LONGEST_DAYS, description="length of the rolling window, days")
    monitoring_min_outcomes: int = Field(10, ge=1, description="fewer outcomes in the window: insufficient_data")
    correction_window_days: int = Field(
        60, ge=1, le=_LONGEST_DAYS, description="how far back changed labels are looked for, days"
    )

    retrain_min_labels: int = Field(50, ge=1, description="new labels that make a retraining due, sessions")
    holdout_fraction: float = Field(0.2, gt=0, lt=0.9, description="newest share of labelled sessions held out")
    training_from: date | None = Field(
        None, description="only sessions from this UTC date on teach, such as 2026-07-24; empty: all"
    )
    level_changes: str = Field(
        "follow",
        pattern="^(follow|ignore)$",
        description="when sessions take longer or shorter for good: follow or ignore",
    )
    architecture: str = Field(
        "auto",
        pattern="^(auto|mlp|ensemble|lstm|attention)$",
        description="network architecture: auto, mlp, ensemble, lstm or attention",
    )
    recipe: str = Field(
        "auto",
        pattern="^(auto|guide|selected|history)$",
        description="training recipe: auto, guide, selected or history",
    )
    hyperparameters: Annotated[Hyperparameters, NoDecode] = Field(
        Hyperparameters(), description='changes to every recipe, JSON such as {"dropout": 0.4}'
    )
    seed: int = Field(42, ge=0, lt=2**31, description="seed of everything random in a training")

    promotion: str = Field(
        "direct",
        pattern="^(direct|challenger|approve)$",
        description="what becomes of a candidate that passed the gates: direct, challenger or approve",
    )
    challenger_share: float = Field(0.1, ge=0, le=1, description="share of students that are served the challenger")
    challenger_min_outcomes: int = Field(
        200, ge=2, description="sessions with an outcome that both versions predicted, at the first look at a trial"
    )
    challenger_max_days: float = Field(
        90.0, gt=0, le=_LONGEST_DAYS, description="an undecided challenger is retired after, days"
    )
    approval_hours: float = Field(
        72.0, gt=0, le=8760, description="a candidate that nobody approved for so long is rejected, hours"
    )

    scoring_horizon_days: int = Field(
        31, ge=1, le=_LONGEST_DAYS, description="how far ahead planned sessions are scored, days"
    )
    scoring_grace_days: int = Field(
        7, ge=0, le=_LONGEST_DAYS, description="how long past sessions without outcome are scored, days"
    )
    scoring_range_sessions: int = Field(250_000, ge=1, description="planned sessions per mapped scoring task")
    statement_timeout_seconds: int = Field(1800, ge=1, le=604_800, description="longest single statement, seconds")
    lock_timeout_seconds: float = Field(
        2.0, ge=0.01, le=3600, description="longest wait for readers at a swap, seconds a try"
    )

    alert_urls: SecretStr = Field(SecretStr(""), description="Apprise addresses that page, separated by spaces")
    ticket_urls: SecretStr = Field(SecretStr(""), description="Apprise addresses for tickets; empty: alert_urls")
    escalation_urls: SecretStr = Field(
        SecretStr(""), description="Apprise addresses for pages that nobody acknowledged; empty: alert_urls"
    )
    escalate_after_hours: float = Field(
        4.0, gt=0, le=8760, description="a page that nobody acknowledged is escalated after, hours"
    )
    page_rule: str = Field(
        "confirmed",
        pattern="^(confirmed|guide)$",
        description="what pages: confirmed (beyond chance), or guide (the guide's rule as well)",
    )
    incident_cool_off_days: float = Field(
        3.0, ge=0, le=365, description="a problem back within so long reopens its incident, days"
    )
    no_labels_days: float = Field(7.0, gt=0, le=365, description="an incident opens after so long without labels, days")
    retraining_failures: int = Field(
        3, ge=1, description="retrainings failed or rejected in a row that open an incident and stop retrying"
    )
    scoring_late_hours: float = Field(
        2.0, gt=0, le=168, description="a night without complete predictions for so long opens an incident, hours"
    )
    runbook_url: str = Field("docs/runbook.md", description="address of the runbook, linked in messages")
    airflow_url: str = Field("", description="address of the Airflow UI, linked in messages")
    heartbeat_url: SecretStr = Field(
        SecretStr(""), description="called (GET) by every finished night that is no replay"
    )

    code_version: str = Field("", description="commit that was built, recorded with each version; empty: ask git")

    keep_versions: int = Field(10, ge=1, description="newest versions whose artifacts are kept")
    keep_served_days: int = Field(
        90, ge=1, le=_LONGEST_DAYS, description="artifacts of versions that served within so long are kept, days"
    )
    prediction_retention_days: int = Field(400, ge=31, le=_LONGEST_DAYS, description="nights of predictions kept, days")

    @field_validator("source_schema")
    @classmethod
    def _is_identifier(cls, value: str) -> str:
        if not _IDENTIFIER.fullmatch(value):
            raise ValueError("must be a plain schema name such as public")
        return value

    @field_validator("source_timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone name such as Europe/Berlin") from None
        return value

    @field_validator("database_url", "source_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(addresses.postgresql_address(value.get_secret_value()))

    @field_validator("heartbeat_url")
    @classmethod
    def _is_web_address(cls, value: SecretStr) -> SecretStr:
        return SecretStr(addresses.web_address(value.get_secret_value()))

    @field_validator("runbook_url", "airflow_url")
    @classmethod
    def _is_public(cls, value: str) -> str:
        return addresses.public_address(value)

    @field_validator("artifact_root", mode="before")
    @classmethod
    def _is_folder_or_address(cls, value: object) -> object:
        if "://" not in str(value):
            return Path(value) if isinstance(value, str) else value
        return addresses.object_store_address(str(value))

    @field_validator("training_from", mode="before")
    @classmethod
    def _is_date(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        # Pydantic would take seconds since 1970, too, and the day of a date-time without its zone.
        if not _DATE.fullmatch(value.strip()) or value.strip() < "1900":
            raise ValueError("must be a date from 1900 on, such as 2026-07-24")
        return value.strip()

    @field_validator("hyperparameters", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            found: object = json.loads(value)
        except json.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise ValueError('must be a JSON object such as {"dropout": 0.4}')
        return found

    @property
    def training_start(self) -> datetime | None:
        """The instant from which on sessions teach; None: all do."""
        return None if self.training_from is None else datetime.combine(self.training_from, time(), UTC)

    @property
    def database(self) -> str:
        """Address of our own database, password included: never log it."""
        return self.database_url.get_secret_value()

    @property
    def source(self) -> str:
        """Address of the study app's database, password included: never log it."""
        return (self.source_url or self.database_url).get_secret_value()

    @property
    def alert_addresses(self) -> tuple[str, ...]:
        """The addresses that page; each is a secret."""
        return addresses.several(self.alert_urls.get_secret_value())

    @property
    def ticket_addresses(self) -> tuple[str, ...]:
        """The addresses for tickets, those that page where there are none of their own; each is a secret."""
        return addresses.several(self.ticket_urls.get_secret_value()) or self.alert_addresses

    @property
    def escalation_addresses(self) -> tuple[str, ...]:
        """The addresses for pages that nobody acknowledged, by default those that page; each is a secret."""
        return addresses.several(self.escalation_urls.get_secret_value()) or self.alert_addresses


def load_settings(**overrides: object) -> Settings:
    """Parse the environment, with ``overrides`` before it; raise SettingsError naming the variable that is wrong."""
    _refuse_misspelt(os.environ)
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(_sentence(error, given)) from None


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    known = ["STUDYML_" + name.upper() for name in Settings.model_fields]
    for name in environment:
        if name.startswith("STUDYML_") and name not in known and (meant := get_close_matches(name, known, 1, 0.9)):
            raise SettingsError(f"{name} is not a setting: did you mean {meant[0]}?")


def _sentence(error: ValidationError, given: Mapping[str, object]) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0])
    # An option of a command, or a param of a DAG, is called what it is called there.
    name = field if field in given else "STUDYML_" + field.upper()
    if first["type"] == "missing":
        return f"{name} is not set: set it in the environment (see .env.example)."
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        choices = str(first["ctx"]["pattern"]).strip("^$()").split("|")
        message = f"must be {', '.join(choices[:-1])} or {choices[-1]}"
    if first["type"] == "extra_forbidden":
        message = f"is not a hyperparameter: choose of {', '.join(Hyperparameters.model_fields)}"
    name = " ".join([name, *(str(part) for part in first["loc"][1:])])
    secret = field.endswith(("_url", "_urls")) or (field == "artifact_root" and "@" in str(first["input"]))
    shown = "" if secret else f" '{first['input']}'"
    return f"{name}{shown} is not usable: {message[0].lower() + message[1:]}."
