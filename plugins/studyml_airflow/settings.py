"""Settings under Airflow: ``STUDYML_*`` from the environment, the database from the Connection ``studyml_db``."""

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from studyml.settings import Settings

CONNECTION_ID = "studyml_db"

_CURE = (
    f"add it under Admin > Connections (type Postgres), or set AIRFLOW_CONN_{CONNECTION_ID.upper()}"
    "=postgresql://user:password@host:5432/studyml for every Airflow component"
)


def load_settings(**overrides: object) -> "Settings":
    """Return the settings of this task, with ``overrides`` before the environment where they are not None.

    Raises SettingsError naming the Connection, the variable or the override, and the cure.
    """
    from studyml import settings

    loaded = settings.load_settings(**{**overrides, "database_url": _database_url()})
    _mask_secrets(loaded)
    return loaded


def _database_url() -> str:
    from studyml.errors import SettingsError

    try:
        connection = Connection.get(CONNECTION_ID)
    except AirflowNotFoundException:
        raise SettingsError(f"The Airflow Connection {CONNECTION_ID} is missing: {_CURE}.") from None
    if connection.conn_type != "postgres":
        raise SettingsError(
            f"The Airflow Connection {CONNECTION_ID} has the type {connection.conn_type!r}: "
            "it must be Postgres (postgresql://user:password@host:5432/studyml)."
        )
    if not connection.host or not connection.schema:
        missing = "host" if not connection.host else "database name (the field Database)"
        raise SettingsError(
            f"The Airflow Connection {CONNECTION_ID} has no {missing}: add it under Admin > Connections."
        )
    return _build_url(connection)


def _build_url(connection: Any) -> str:
    """Return a libpq address. The Connection's extra, such as {"sslmode": "require"}, becomes its parameters."""
    login = quote(connection.login or "", safe="")
    if connection.password:
        login += ":" + quote(connection.password, safe="")
    host = f"[{connection.host}]" if ":" in connection.host else quote(connection.host, safe=",")
    place = f"{host}:{connection.port}" if connection.port else host
    extra = json.loads(connection.extra) if connection.extra else {}
    query = "?" + urlencode(extra, quote_via=quote) if extra else ""
    return f"postgresql://{login + '@' if login else ''}{place}/{quote(connection.schema, safe='')}{query}"


def _mask_secrets(loaded: "Settings") -> None:
    """Tell Airflow's log masker every secret, whole and in parts: a library's error may quote the path alone."""
    from pydantic import SecretStr

    from studyml.steps.recipients import secrets

    for name in type(loaded).model_fields:
        value = getattr(loaded, name)
        if isinstance(value, SecretStr):
            for secret in value.get_secret_value().split():
                mask_secret(secret)
    for secret in secrets(loaded):
        mask_secret(secret)
