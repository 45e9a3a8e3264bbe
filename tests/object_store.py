"""A real S3 server on this machine, and a proxy before it that breaks connections off."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

BUCKET = "models"
KEYS = {
    "AWS_ACCESS_KEY_ID": "an-access-key",
    "AWS_SECRET_ACCESS_KEY": "a-secret-key",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks S3, empty."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **KEYS},
    )
    try:
        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the S3 server ended"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An address s3://bucket/prefix of the test's own, with the environment that opens it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    filesystem().makedirs(BUCKET, exist_ok=True)
    return f"s3://{BUCKET}/{request.node.name.split('[')[0]}-{time.monotonic_ns()}"


def filesystem():
    """The store as another program sees it."""
    from s3fs import S3FileSystem

    return S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], use_listings_cache=False)


def stored(address: str) -> dict[str, bytes]:
    """Every object below an address, by its name relative to it."""
    files, start = filesystem(), address.removeprefix("s3://")
    return {name.removeprefix(start + "/"): files.cat_file(name) for name in files.find(start)}


def put(address: str, content: bytes) -> None:
    filesystem().pipe_file(address.removeprefix("s3://"), content)


@dataclass
class Proxy:
    """Passes bytes on to a server until ``upload_limit`` bytes were sent to it, then breaks every connection off.

    ``stall_upload_after``: when so many bytes were sent, every connection stays open and nothing is read any more.
    ``break_download_after``: when so many bytes were received, the one connection that brought them is broken off.
    """

    port: int
    address: str
    upload_limit: int | None = None
    stall_upload_after: int | None = None
    break_download_after: int | None = None
    sent: int = 0
    received: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def count_sent(self, size: int) -> bool:
        with self.lock:
            self.sent += size
        if self.stall_upload_after is not None and self.sent > self.stall_upload_after:
            self.ended.wait()
        return self.upload_limit is None or self.sent <= self.upload_limit

    def count_received(self, size: int) -> bool:
        with self.lock:
            self.received += size
            if self.break_download_after is None or self.received <= self.break_download_after:
                return True
            self.break_download_after = None
            return False


@contextmanager
def proxied(server: str) -> Iterator[Proxy]:
    host, port = server.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    own = listener.getsockname()[1]
    proxy, opened = Proxy(own, f"http://127.0.0.1:{own}"), [listener]

    def copy(source: socket.socket, target: socket.socket, goes_on: Callable[[int], bool]) -> None:
        try:
            while block := source.recv(4096):
                if not goes_on(len(block)):
                    break
                target.sendall(block)
        except OSError:
            pass
        for each in (source, target):
            with_shutdown(each)
        # With its buffer full, a socket that is shut and not read would leave its sender waiting for ever.
        with suppress(OSError):
            while source.recv(1 << 16):
                pass

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.create_connection((host, int(port)))
            opened.extend((client, upstream))
            for pair in ((client, upstream, proxy.count_sent), (upstream, client, proxy.count_received)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        for each in opened:
            with_shutdown(each)
            each.close()


def with_shutdown(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
