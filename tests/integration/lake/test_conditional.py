"""The start's question to the store: does it refuse the second of two conditional writes?"""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import structlog

from schemas.backing.lake import conditional
from schemas.settings.processes import LakeSettings
from tests.house.polling import free_port
from tests.house.s3 import BUCKET

SECRET = "a-secret-of-the-store"


class Liar(BaseHTTPRequestHandler):
    """Says 200 to every write, whatever it asks for, as some stores do; or another status that a test sets."""

    asked: list[tuple[str, str, str | None]]
    status: int

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(("PUT", self.path, self.headers.get("If-None-Match")))
        self._answer(self.status)

    def do_DELETE(self) -> None:
        self.asked.append(("DELETE", self.path, self.headers.get("If-None-Match")))
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def liar() -> Iterator[tuple[int, type[Liar]]]:
    kind = type("TheLiar", (Liar,), {"asked": [], "status": 200})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, kind
        server.shutdown()
        thread.join()


def lake(port: int, key: str = "test", **more: str) -> LakeSettings:
    """Return settings of a store on a port; the warehouse has a prefix."""
    properties = {"s3.endpoint": f"http://127.0.0.1:{port}", "s3.region": "us-east-1", **more}
    keys = {"s3.access-key-id": key, "s3.secret-access-key": SECRET} if key else {}
    return LakeSettings(catalog_warehouse=f"s3://{BUCKET}/of us/", catalog_properties={**properties, **keys})


def asked(settings: LakeSettings) -> conditional.Answer:
    """Ask now, for an object that is new."""
    return conditional.probe(settings, dt.datetime.now(dt.UTC), uuid.uuid4().hex)


def test_a_store_that_ignores_the_condition_is_found_out(liar: tuple[int, type[Liar]]) -> None:
    port, kind = liar
    answer = asked(lake(port))
    assert answer.kept is False
    path = kind.asked[0][1]
    assert path.startswith(f"/{BUCKET}/of%20us/.hookberg-probe-")
    assert kind.asked == [("PUT", path, "*"), ("PUT", path, "*"), ("DELETE", path, None)]


@pytest.mark.parametrize("status", [403, 404, 501])
def test_a_store_that_refuses_the_probe_is_not_judged(liar: tuple[int, type[Liar]], status: int) -> None:
    port, kind = liar
    kind.status = status
    answer = asked(lake(port))
    assert answer.kept is None
    assert str(status) in answer.why


def test_what_cannot_be_asked_is_not_judged_and_stops_nothing() -> None:
    assert asked(lake(free_port())).kept is None
    assert "no keys" in asked(lake(1, key="")).why


def test_the_answer_is_logged_without_the_secret(liar: tuple[int, type[Liar]]) -> None:
    now = dt.datetime.now(dt.UTC)
    with structlog.testing.capture_logs() as logged:
        conditional.report(lake(liar[0]), now, "word")
        conditional.report(lake(1).model_copy(update={"catalog_warehouse": "file:///srv"}), now, "word")
    assert [(one["event"], one["kept"]) for one in logged] == [("store_conditional_writes", False)]
    assert SECRET not in repr(logged)
