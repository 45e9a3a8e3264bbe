"""Real receivers of messages: a webhook and a mail server on this machine, that fail on demand."""

import email
import email.policy
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import apprise
import pytest
from aiosmtpd.controller import Controller

with warnings.catch_warnings():
    # One of Apprise's plugins imports a module that Python 3.13 no longer has.
    warnings.simplefilter("ignore", DeprecationWarning)
    apprise.Apprise().add("json://localhost")


class Webhook:
    """A webhook that answers with ``status`` and ``answer``, after ``delay`` seconds unless ``hanging``.

    It keeps what it accepted, which is never a message that holds the word ``refused``.
    """

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.refused = ""
        self.answer = b""
        self.delay = 0.0
        self.received: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.hanging = threading.Event()
        self.released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def url(self, path: str = "hook", options: str = "") -> str:
        """Its address for Apprise."""
        return f"json://127.0.0.1:{self.port}/{path}{options}"

    def close(self) -> None:
        """Stop listening: the port refuses connections."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                webhook._answer(self, json.loads(body))

            def do_GET(self) -> None:
                webhook._answer(self, {"path": self.path})

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler, document: dict[str, Any]) -> None:
        self.asked.append(handler.path)
        if self.hanging.is_set():
            self.released.wait(30)
            return
        status = 400 if self.refused and self.refused in str(document) else self.status
        if status < 300:
            self.received.append(document)
        self.released.wait(self.delay)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(self.answer)))
        handler.end_headers()
        with suppress(OSError):  # nobody waits for the answer any more
            handler.wfile.write(self.answer)


@contextmanager
def webhook(port: int = 0) -> Iterator[Webhook]:
    """A running webhook."""
    found = Webhook(port)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A webhook that accepts everything."""
    with webhook() as found:
        yield found


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Mailbox:
    """A mail server's inbox: it answers each mail with ``reply``, keeps those that it accepted, and knows no
    receiver whose address holds the word ``refused``."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.reply = "250 OK"
        self.refused = ""
        self.messages: list[EmailMessage] = []

    @property
    def address(self) -> str:
        """Its address for Apprise; a test waits a second for an answer, not fifteen."""
        return (
            f"mailto://127.0.0.1:{self.port}?from=studyml@example.org&to=oncall@example.org&mode=insecure"
            "&smtp=127.0.0.1&cto=1&rto=1"
        )

    def to(self, receivers: str) -> str:
        """The address for these receivers, as the options of an Apprise address."""
        return self.address.replace("to=oncall@example.org", receivers)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.refused and self.refused in address:
            return "550 5.1.1 nobody of this name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.reply.startswith("2"):
            self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return self.reply


@contextmanager
def mail_server(port: int = 0) -> Iterator[Mailbox]:
    """The inbox of a running SMTP server."""
    mailbox = Mailbox(port or free_port())
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port, ready_timeout=30)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()


@contextmanager
def silent_server(port: int = 0, *, drip: bytes = b"") -> Iterator[int]:
    """The port of a server that takes every connection and never answers, or lets ``drip`` fall for ever."""
    server = socket.create_server(("127.0.0.1", port))
    stopped = threading.Event()
    taken: list[socket.socket] = []

    def take() -> None:
        server.settimeout(0.05)
        while not stopped.is_set():
            with suppress(TimeoutError):
                taken.append(server.accept()[0])
            for connection in taken:
                with suppress(OSError):
                    connection.sendall(drip)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        yield int(server.getsockname()[1])
    finally:
        stopped.set()
        thread.join()
        for each in (*taken, server):
            each.close()
