"""A receiver of outbound webhooks on this machine: answers every POST as it is told, keeps path, headers and body."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Came:
    """One request; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver(ThreadingHTTPServer):
    """Many receivers at one port: each has a path of its own.

    `answers`: status and headers by path, `otherwise` those of all other paths; `says`: the body of every answer.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[Came] = []
        self.answers: dict[str, tuple[int, dict[str, str]]] = {}
        self.otherwise: tuple[int, dict[str, str]] = (200, {})
        self.says = b"ok"

    def url(self, path: str) -> str:
        """Return the address of one of the receivers."""
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def at(self, path: str) -> list[Came]:
        """Return what one of them was sent so far."""
        return [each for each in list(self.came) if each.path == f"/{path}"]

    def ids(self, path: str) -> list[str]:
        """Return the ids of the messages that one of them was sent so far."""
        return [each.headers["webhook-id"] for each in self.at(path)]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.came.append(Came(self.path, headers, body))
        status, more = self.server.answers.get(self.path.removeprefix("/"), self.server.otherwise)
        self.send_response(status)
        for name, value in {**more, "Content-Length": str(len(self.server.says))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.says)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Yield a receiver that serves until the end."""
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
