"""The Dockerfile against the repository that it copies from."""

import re
import shlex
import tomllib
from fnmatch import fnmatch

from packaging.specifiers import SpecifierSet

from .compose_file import REPOSITORY, read_compose

_TEXT = (REPOSITORY / "Dockerfile").read_text()
INSTRUCTIONS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", _TEXT)).splitlines()
    if line
]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
COPIES = [shlex.split(rest) for name, rest in INSTRUCTIONS if name == "COPY" and "--from" not in rest]


def test_base_image_is_pinned_to_a_python_that_the_project_supports() -> None:
    (image,) = [rest for name, rest in INSTRUCTIONS if name == "ARG"]
    match = re.fullmatch(r"PYTHON_IMAGE=python:(\d+\.\d+\.\d+)-slim-[a-z]+", image)
    assert match
    assert match[1] in SpecifierSet(PROJECT["requires-python"])
    bases = [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"]
    assert bases == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]


def test_copied_files_exist_and_reach_the_builder() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    admitted = {line[1:] for line in ignored if line.startswith("!")}
    sources = {source for *copied, _ in COPIES for source in copied}
    assert sources == admitted
    assert "*" in ignored
    assert any(fnmatch(".env", line.removeprefix("**/")) for line in ignored)
    for source in sources:
        assert (REPOSITORY / source).exists(), source


def test_versions_come_from_the_pinned_requirements() -> None:
    (install,) = [rest for name, rest in INSTRUCTIONS if name == "RUN" and "--extra" in rest]
    assert "--constraints requirements.txt --requirements pyproject.toml" in install
    extras = re.findall(r"--extra (\w+)", install)
    assert extras == ["train", "airflow", "s3"]
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    assert "uv==" in next(rest for name, rest in INSTRUCTIONS if name == "RUN")


def test_runs_as_an_ordinary_user_who_owns_what_it_writes() -> None:
    user = [rest for name, rest in INSTRUCTIONS if name == "USER"][-1]
    assert user == "50000:50000"
    assert INSTRUCTIONS[-1][0] == "USER"
    (prepare,) = [rest for name, rest in INSTRUCTIONS if name == "RUN" and "useradd" in rest]
    worker = read_compose()["services"]["worker"]
    for mount in worker["volumes"]:
        # A volume takes over the owner of the image's folder: without it, it would belong to root.
        assert f" {mount.split(':')[1]}" in prepare


def test_scripts_of_the_services_are_in_the_image() -> None:
    places = {destination: copied[0] for *copied, destination in COPIES}
    for service in read_compose()["services"].values():
        for word in [*service.get("command", []), *service.get("healthcheck", {}).get("test", [])]:
            if word.startswith("/opt/studyml/docker/"):
                script = REPOSITORY / places["/opt/studyml/docker"] / word.removeprefix("/opt/studyml/docker/")
                assert script.is_file()
