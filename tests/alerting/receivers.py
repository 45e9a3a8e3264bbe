"""Real receivers of messages: a webhook and a mail server on this machine, that fail on demand."""

import email
import json
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import apprise
from aiosmtpd.controller import Controller

with warnings.catch_warnings():
    # One of Apprise's plugins imports a module that Python 3.13 no longer has.
    warnings.simplefilter("ignore", DeprecationWarning)
    apprise.Apprise().add("json://localhost")


class Webhook:
    """A webhook that answers with ``status``, after waiting while ``hanging``; all it accepted is in ``received``."""

    def __init__(self, port: int = 0) -> None:
        self.status = 200
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
        if self.status < 300:
            self.received.append(document)
        handler.send_response(self.status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


@contextmanager
def webhook(port: int = 0) -> Iterator[Webhook]:
    """A running webhook."""
    found = Webhook(port)
    try:
        yield found
    finally:
        found.close()


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class _Mailbox:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content))
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[tuple[int, list[Message]]]:
    """(port, the messages that arrived) of a running SMTP server."""
    mailbox = _Mailbox()
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, ready_timeout=30)
    controller.start()
    try:
        yield port, mailbox.messages
    finally:
        controller.stop()
