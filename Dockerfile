# syntax=docker/dockerfile:1
# One image for all Airflow services of docker-compose.yaml.
ARG PYTHON_IMAGE=python:3.12.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
RUN pip install --no-cache-dir uv==0.13.9
# Byte-compiled once, here: otherwise every process of every container compiles every library again.
ENV UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=/opt/venv
WORKDIR /build
COPY pyproject.toml requirements.txt ./
# requirements.txt pins every version; the extras leave out what only developers need.
RUN uv venv /opt/venv \
    && uv pip install --constraints requirements.txt --requirements pyproject.toml --extra train --extra airflow --extra s3
COPY README.md ./
COPY studyml studyml
RUN uv pip install --no-deps .

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 50000 airflow \
    && useradd --uid 50000 --gid airflow --home-dir /opt/airflow --no-create-home --shell /usr/sbin/nologin airflow \
    && install --directory --owner airflow --group airflow --mode 0750 \
        /opt/airflow /opt/airflow/logs /var/lib/studyml /var/lib/studyml/artifacts
COPY --from=build /opt/venv /opt/venv
COPY dags /opt/studyml/dags
COPY plugins /opt/studyml/plugins
COPY docker /opt/studyml/docker
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/opt/studyml/plugins \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/studyml/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/studyml/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=false
RUN python -m compileall -q /opt/studyml
WORKDIR /opt/airflow
USER 50000:50000
