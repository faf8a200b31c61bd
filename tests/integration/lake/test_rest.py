"""The contract on a REST catalog, and what it alone can do: answers lost by the server, TLS, one that never answers."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import certifi
import pytest
import requests
from pyiceberg.exceptions import CommitStateUnknownException

from schemas.backing.lake import open_catalog
from schemas.settings.processes import LakeSettings
from sinks.table import commit
from tests.house.polling import wait_until
from tests.house.rest_catalog import RestCatalogServer
from tests.integration.lake import places
from tests.integration.lake.contract import Wired
from tests.integration.lake.places import Place, put
from tests.integration.lake.tended import events

FAULTS = [
    ("error-before", CommitStateUnknownException, False),
    ("error-after", CommitStateUnknownException, True),
    ("halt-before", requests.exceptions.ConnectionError, False),
    ("halt-after", requests.exceptions.ConnectionError, True),
    ("sleep-before-3000", requests.exceptions.ReadTimeout, False),
    ("sleep-after-3000", requests.exceptions.ReadTimeout, True),
    ("killed", requests.exceptions.ConnectionError, True),
]
"""What happens, what the client sees, whether the commit is in when the writer looks again."""


@pytest.fixture
def place(rest_catalog: RestCatalogServer) -> Iterator[Place]:
    with places.rest(rest_catalog) as found:
        yield found


class TestRest(Wired):
    """The contract, with the fixture above."""


@pytest.mark.parametrize(("fault", "seen", "landed"), FAULTS)
def test_the_offsets_decide_what_a_lost_answer_was(
    place: Place, rest_catalog: RestCatalogServer, fault: str, seen: type[Exception], landed: bool
) -> None:
    catalog = place.open(timeout_s=0.7)
    table = place.table(catalog)
    put(catalog, table, 0, 5)
    raised: list[Exception] = []
    real = catalog.commit_table

    def commit_table(*args: Any) -> Any:
        try:
            return real(*args)
        except Exception as error:
            raised.append(error)
            raise

    catalog.commit_table = commit_table  # type: ignore[method-assign,assignment]
    killer = threading.Timer(0.3, rest_catalog.kill)
    if fault == "killed":
        rest_catalog.arm("sleep-after-600")
        killer.start()
    else:
        rest_catalog.arm(fault)

    dies = ["it halts once"] if fault.startswith("halt") else []

    def wait(_seconds: float) -> None:
        if fault == "killed":
            killer.join()
        if dies:  # its connection is cut a while before the process has ended: tries would be spent on it
            wait_until(rest_catalog.ended, what=dies.pop())
        if rest_catalog.ended():
            rest_catalog.start()

    result = put(catalog, table, 5, 9, wait=wait)
    assert isinstance(raised[0], seen)
    assert isinstance(result, commit.AlreadyThere if landed else commit.Committed)
    assert len(place.open().load_table(place.identifier).metadata.snapshots) == 2
    assert place.ids() == events(9)


def test_a_commit_that_arrives_after_it_was_given_up_doubles_nothing(
    place: Place, rest_catalog: RestCatalogServer
) -> None:
    """The server sleeps before its work: the first request lands when the second has, and is refused."""
    catalog = place.open(timeout_s=0.5)
    table = place.table(catalog)
    put(catalog, table, 0, 5)
    before = rest_catalog.survived()
    rest_catalog.arm("sleep-before-800")
    assert isinstance(put(catalog, table, 5, 9), commit.Committed)
    wait_until(lambda: rest_catalog.survived() > before, what="the end of the first request")
    assert len(place.open().load_table(place.identifier).metadata.snapshots) == 2
    assert place.ids() == events(9)


def test_trusts_a_private_authority_when_told_and_else_not(
    place: Place, rest_catalog: RestCatalogServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.table(place.open())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())  # as images have it: what is named wins
    authority = str(rest_catalog.folder / "ca.pem")

    def lake(**properties: Any) -> LakeSettings:
        return LakeSettings(catalog_type="rest", catalog_uri=rest_catalog.tls_url, catalog_properties=properties)

    with pytest.raises(requests.exceptions.SSLError):
        open_catalog(lake())
    trusting = open_catalog(lake(ssl={"cabundle": authority}))
    table = trusting.load_table(place.identifier)
    assert isinstance(put(trusting, table, 0, 3), commit.Committed)
    trusting.close()
    assert place.ids() == events(3)


@pytest.fixture
def silent() -> Iterator[int]:
    """Yield the port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.filterwarnings("ignore:.*missing the OAuth2 server URI.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "uri", "properties"),
    [
        ("rest", "http://127.0.0.1:{}", {}),
        ("rest", "http://127.0.0.1:{}", {"credential": "client:secret"}),
        ("sql", "postgresql+psycopg://test@127.0.0.1:{}/lake", {}),
    ],
)
def test_a_server_that_never_answers_is_given_up_when_the_catalog_is_opened(
    silent: int, kind: str, uri: str, properties: dict[str, str]
) -> None:
    lake = LakeSettings(
        catalog_type=kind,
        catalog_uri=uri.format(silent),
        catalog_warehouse="file:///nowhere",
        catalog_properties=properties,
    )
    started = time.monotonic()
    with pytest.raises(Exception, match=r"(?i)time.?out"):
        open_catalog(lake, timeout_s=0.3)
    assert time.monotonic() - started < 20
