"""Objects in an S3-compatible store, through fsspec: one address, few verbs, and errors that a person can read.

Credentials, endpoint and region come from the environment as the S3 libraries read them (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION); no message repeats any of them.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from studyml.errors import ArtifactError, SettingsError, StoreError

_CONNECT_SECONDS, _READ_SECONDS, _TRIES = 5, 30, 2
# A store that stops reading amid an upload is noticed by no other limit: the client waits for room to write.
_UPLOAD_SECONDS, _UPLOAD_BYTES_A_SECOND = 60, 128 << 10
#: A file of at least twice this is uploaded in parts, so many at a time; s3fs by itself holds ten of 50 MiB in memory.
PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 4


@dataclass(frozen=True)
class Objects:
    """The objects below ``address`` (s3://bucket/prefix); names are relative to it."""

    address: str
    filesystem: Any

    def key(self, name: str) -> str:
        """The bucket and key of an object's name."""
        return f"{self.address.removeprefix('s3://')}/{name}"


def open_objects(address: str) -> Objects:
    """The store at an address; nothing is asked of it yet. Raises SettingsError where its library is missing."""
    try:
        from s3fs import S3FileSystem
    except ImportError:
        raise SettingsError(
            f"the artifact root {address} needs the package s3fs: install studyml with its extra s3."
        ) from None
    # s3fs keeps one client for each process and these arguments: making one takes longer than most requests.
    filesystem = S3FileSystem(
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None,
        use_listings_cache=False,
        config_kwargs={
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retries": {"max_attempts": _TRIES},
        },
    )
    filesystem.retries = _TRIES
    return Objects(address, filesystem)


def list_objects(objects: Objects, under: str) -> dict[str, datetime]:
    """Every object below the folder ``under`` (empty: all), by its name relative to it, with when it was written."""
    start = objects.key(under).rstrip("/") + "/"
    with _told(objects):
        found = objects.filesystem.find(start, detail=True)
    return {
        name.removeprefix(start): entry["LastModified"]
        for name, entry in found.items()
        if name.startswith(start) and not name.endswith("/")
    }


def upload(objects: Objects, path: Path, name: str) -> None:
    """Store a file under a name; what the store then holds is for the caller to verify.

    Raises StoreError where that takes more than a minute and what the file needs at 128 KiB a second.
    """
    limit = _UPLOAD_SECONDS + path.stat().st_size / _UPLOAD_BYTES_A_SECOND
    with _told(objects):
        objects.filesystem.put_file(
            str(path), objects.key(name), chunksize=PART_BYTES, max_concurrency=_PARTS_AT_ONCE, timeout=limit
        )


def download(objects: Objects, name: str, path: Path) -> None:
    """Fetch an object into a file; raises FileNotFoundError where there is none of this name."""
    with _told(objects):
        # One stream: it goes on where it was broken off, and costs no memory.
        objects.filesystem.get_file(objects.key(name), str(path), max_concurrency=1)


def write_text(objects: Objects, name: str, text: str) -> None:
    """Store a short text under a name, all of it or nothing."""
    with _told(objects):
        objects.filesystem.pipe_file(objects.key(name), text.encode())


def read_text(objects: Objects, name: str) -> str:
    """The text stored under a name; raises FileNotFoundError where there is none."""
    with _told(objects):
        content: bytes = objects.filesystem.cat_file(objects.key(name))
    return content.decode("utf-8", "replace")


def delete(objects: Objects, names: Iterable[str]) -> None:
    """Delete objects; one that is gone already is no error."""
    for name in names:
        with _told(objects):
            objects.filesystem.rm_file(objects.key(name))


def upload_folder(objects: Objects, folder: Path, under: str, *, last: str) -> None:
    """Store every file of a folder below ``under``, the file ``last`` after all others."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    for name in sorted(names, key=lambda each: each == last):
        upload(objects, folder / name, f"{under}/{name}")


def download_folder(objects: Objects, under: str, folder: Path) -> bool:
    """Fetch every object below ``under`` into a folder; False where there is none.

    Raises ArtifactError for a name that would lead out of the folder.
    """
    names = sorted(list_objects(objects, under))
    for name in names:
        parts = PurePosixPath(name).parts
        if ".." in parts or "" in name.split("/"):
            raise ArtifactError(f"{objects.address}/{under} holds an object that is none of ours: {name!r}.")
        target = folder.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            download(objects, name=f"{under}/{name}", path=target)
        except FileNotFoundError:
            raise StoreError(f"{name} vanished from {objects.address}/{under} while it was read: try again.") from None
    return bool(names)


@contextmanager
def _told(objects: Objects) -> Iterator[None]:
    """Errors of the store in one sentence; a missing object stays FileNotFoundError."""
    from aiohttp import ClientError as ConnectionBroken
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    address = objects.address
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError):
        raise ArtifactError(
            f"there are no credentials for {address}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from None
    except PermissionError as error:
        raise ArtifactError(
            f"{address} refuses these credentials ({_code(error) or 'no permission'}): check AWS_ACCESS_KEY_ID,"
            " AWS_SECRET_ACCESS_KEY and what they are allowed to do."
        ) from None
    except FileNotFoundError as error:
        if _code(error) == "NoSuchBucket":
            raise ArtifactError(f"the bucket of {address} does not exist: check STUDYML_ARTIFACT_ROOT.") from None
        raise
    except TimeoutError:
        raise StoreError(
            f"{address} stopped answering or is too slow: check the store that AWS_ENDPOINT_URL names and the network,"
            " then try again."
        ) from None
    except (OSError, BotoCoreError, ClientError, ConnectionBroken) as error:
        raise StoreError(
            f"{address} could not be reached or broke off ({_code(error) or type(error).__name__}): check"
            " AWS_ENDPOINT_URL and the network, then try again."
        ) from None


def _code(error: BaseException) -> str | None:
    """What S3 calls the error, where it answered at all."""
    response = getattr(error, "response", None) or getattr(error.__cause__, "response", None) or {}
    code = response.get("Error", {}).get("Code")
    return None if code is None else str(code)
