"""A tiny stand-in for one of our processes: answers `/readyz`, notes its start and its drain, does nothing else.

Usage: stub_process.py NAME. STUB_EXIT_<NAME>=code ends it at once with that code.
"""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT_SETTING = {
    "api": "HOOKBERG_API_PORT",
    "ingress": "HOOKBERG_INGEST_PORT",
    "streams": "HOOKBERG_STREAMS_HEALTH_PORT",
    "sinks": "HOOKBERG_SINKS_HEALTH_PORT",
    "notify": "HOOKBERG_NOTIFY_HEALTH_PORT",
}


class Handler(BaseHTTPRequestHandler):
    """Answers every GET with 200."""

    def do_GET(self) -> None:
        """Answer 200."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def note(name: str, what: str) -> None:
    """Append one line to the journal in the state folder."""
    with (Path(os.environ["HOOKBERG_STATE_DIR"]) / "journal").open("a") as file:
        file.write(f"{time.monotonic():.6f} {name} {what}\n")


def main(name: str) -> int:
    """Serve until SIGTERM."""
    sys.stdout.write(f"{name} says hello\n")
    sys.stdout.flush()
    code = os.environ.get(f"STUB_EXIT_{name.upper()}")
    if code:
        sys.stdout.write(f"{name} has a wrong setting\n")
        return int(code)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ[PORT_SETTING[name]])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    note(name, f"started {os.getpid()}")
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    note(name, "drained")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
