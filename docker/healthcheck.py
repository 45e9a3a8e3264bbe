"""Health of one component: ``healthcheck.py api-server|scheduler|dag-processor|triggerer|worker``.

Exit status 0 when it is healthy, else 1 with one sentence. It imports neither Airflow nor its configuration:
``airflow jobs check`` asks the same but costs seconds of CPU each time, on every container.
"""

import json
import os
import socket
import sys
import urllib.request
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 8


def fetch(url: str) -> dict[str, dict[str, str | None]]:
    """Get a JSON document; raise OSError when the address does not answer or answers with an error."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:
        answer: dict[str, dict[str, str | None]] = json.load(response)
        return answer


def problem_of_scheduler() -> str | None:
    """Ask the scheduler's own small server, in the same container."""
    port = os.environ.get("AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT", "8974")
    url = f"http://127.0.0.1:{port}/health"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS):
            return None
    except OSError as error:
        return f"the scheduler does not answer or has no heartbeat ({error})"


def problem_of_airflow(component: str) -> str | None:
    """Ask the API server, which knows the newest heartbeat of each component."""
    address = urlsplit(os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"])
    host = "127.0.0.1" if component == "api-server" else address.hostname
    key = {"api-server": "metadatabase", "dag-processor": "dag_processor", "triggerer": "triggerer"}[component]
    try:
        status = fetch(f"http://{host}:{address.port}/api/v2/monitor/health")[key]["status"]
    except OSError as error:
        return f"the api-server does not answer, so the state of {key} is unknown ({error})"
    return None if status == "healthy" else f"{key} is {status}"


def problem_of_worker() -> str | None:
    """Ping this container's own Celery worker through the broker."""
    from celery import Celery
    from kombu.exceptions import OperationalError

    name = f"celery@{socket.gethostname()}"
    application = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"])
    try:
        answers = application.control.ping(destination=[name], timeout=TIMEOUT_SECONDS)
    except OperationalError as error:
        return f"Redis does not answer, so the state of worker {name} is unknown ({error})"
    return None if answers else f"the worker {name} does not answer"


def main(component: str) -> str | None:
    """Return what is wrong with the component, or None."""
    if component == "scheduler":
        return problem_of_scheduler()
    if component == "worker":
        return problem_of_worker()
    return problem_of_airflow(component)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
