"""What makes a 2xx mean stored: the producer's settings, receipts, redaction."""

import pytest

from ingress import receipt, redact
from ingress.producers import producer_config
from ingress.routes import Platform, SecretUrl, Workspace, find, query


def test_the_producer_cannot_be_talked_out_of_its_guarantees() -> None:
    config = producer_config({"bootstrap.servers": "b:1", "acks": "0", "enable.idempotence": False}, 1_000)
    assert (config["acks"], config["enable.idempotence"]) == ("all", True)
    assert config["message.max.bytes"] == 1_000 + (2 << 20)
    assert config["bootstrap.servers"] == "b:1"


@pytest.mark.parametrize("topic", ["acme.webhook.my_shop-2", "AbC-_0123456789abcdefg"])
def test_a_receipt_reads_back_and_no_other_does(topic: str) -> None:
    key = receipt.derive(b"vault key")
    made = receipt.make(key, "d-1", topic, 3, 17)
    at, _, mac = made.partition("?at=")[2].partition("&mac=")
    assert receipt.check(key, "d-1", at, mac) == (topic, 3, 17)
    assert receipt.check(key, "d-2", at, mac) is None
    assert receipt.check(key, "d-1", at[:-1] + "8", mac) is None
    assert receipt.check(key, "d-1", at, mac[:-1]) is None
    assert receipt.check(key, "d-1", at, "\udce9") is None
    assert receipt.check(b"other", "d-1", at, mac) is None


@pytest.mark.parametrize(
    "name", ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Auth-Token", "X-Api-Key", "apikey"]
)
def test_hides_secret_headers(name: str) -> None:
    assert redact.headers(((name, "x"),)) == ((name, "***"),)


@pytest.mark.parametrize("name", ["X-Hub-Signature-256", "X-GitHub-Delivery", "Content-Type", "Idempotency-Key"])
def test_keeps_the_other_headers(name: str) -> None:
    assert redact.headers(((name, "x"),)) == ((name, "x"),)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/v1/webhooks/github", Platform("github")),
        ("/api/v1/webhooks/generic", Platform("generic")),
        ("/api/v1/webhooks/Git%20Hub", Platform("Git Hub")),
        ("/api/v1/webhooks/generic/acme", Workspace("acme")),
        ("/in/abc", SecretUrl("abc")),
        ("/api/v1/webhooks/", None),
        ("/api/v1/webhooks/github/acme", None),
        ("/api/v1/webhooks/generic/", None),
        ("/api/v1/webhooks/generic/a/b", None),
        ("/in/", None),
        ("/in/a/b", None),
        ("/", None),
        ("*", None),
        ("http://x/in/abc", None),
    ],
)
def test_finds_ingest_paths_only(path: str, route: object) -> None:
    assert find(path) == route


def test_a_token_never_shows_in_a_repr() -> None:
    assert "abc" not in repr(SecretUrl("abc"))


def test_an_odd_query_says_nothing() -> None:
    assert query("a=1&a=2&b=&c") == {"a": "1", "b": "", "c": ""}
    assert query("&".join(f"a{n}=1" for n in range(500))) == {}
    assert query("a=" + "x" * 9000) == {}
