"""Sources by auth types that users say themselves: what is kept and shown, what is refused with a pointer, rotation."""

from typing import Any

import pytest

from tests.house.certificates import authority, issued
from tests.integration.api.world import Api

ROOT = authority("Vendor Root")
HMAC = {
    "type": "hmac",
    "secrets": ["s3cret-of-the-hmac"],
    "header": "X-Acme-Signature",
    "message": "{timestamp}.{body}",
    "container": {"kind": "prefix", "prefix": "sha256="},
    "timestamp": {"source": "header", "name": "X-Acme-Time"},
}
MTLS = {"type": "mtls", "subjects": ["CN=hooks,O=Vendor"], "dnsNames": ["hooks.vendor.example"], "ca": ROOT.pem}
KINDS: list[dict[str, Any]] = [
    HMAC,
    {"type": "bearer", "secrets": ["s3cret-one", "s3cret-two"]},
    {"type": "basic", "username": "acme", "secrets": ["s3cret-pass"]},
    {"type": "apiKey", "header": "X-Shop", "secrets": ["s3cret-key"]},
    {"type": "apiKey", "query": "shop", "secrets": ["s3cret-key"]},
    MTLS,
    {"type": "url"},
    {"type": "none"},
]


def source(auth: dict[str, Any]) -> dict[str, Any]:
    return {"platform": "shop", "name": "shop", "auth": auth}


@pytest.mark.parametrize("auth", KINDS, ids=lambda auth: auth["type"])
async def test_every_type_is_kept_and_shown_without_its_secrets(api: Api, auth: dict[str, Any]) -> None:
    made = await api.make("/sources", source(auth))
    assert {name: made["auth"][name] for name in auth if name != "secrets"} == {
        name: value if not isinstance(value, dict) else made["auth"][name] | value
        for name, value in auth.items()
        if name != "secrets"
    }
    assert len(made["secrets"]) == len(auth.get("secrets", ()))
    for reply in (await api.send("GET", "/sources/shop"), await api.send("GET", "/audit?limit=200")):
        assert "s3cret" not in reply.body.decode()
    again = await api.send("PATCH", "/sources/shop", {"description": "x"})
    assert (again.status, again.json["auth"]) == (200, made["auth"])
    kept = {key: value for key, value in made["auth"].items() if value is not None}
    put = await api.send("PUT", "/sources/shop", {"platform": "shop", "auth": kept})
    assert (put.status, put.json["auth"]) == (200, made["auth"])
    assert [each["id"] for each in put.json["secrets"]] == [each["id"] for each in made["secrets"]]


async def test_a_patch_that_names_another_type_starts_from_nothing(api: Api) -> None:
    await api.make("/sources", source(HMAC))
    bare = await api.send("PATCH", "/sources/shop", {"auth": {"type": "bearer"}})
    assert (bare.status, bare.pointers) == (422, ["/auth/secrets"])
    moved = await api.send("PATCH", "/sources/shop", {"auth": {"type": "bearer", "secrets": ["new"]}})
    assert (moved.status, moved.json["auth"]) == (200, {"type": "bearer"})
    part = await api.send("PATCH", "/sources/shop", {"auth": {"type": "apiKey", "query": "k", "secrets": ["new"]}})
    assert part.json["auth"] == {"type": "apiKey", "query": "k", "prefix": ""}
    back = await api.send("PATCH", "/sources/shop", {"auth": {"query": None, "header": "X-Key"}})
    assert back.json["auth"] == {"type": "apiKey", "header": "X-Key", "prefix": ""}


@pytest.mark.parametrize(
    ("auth", "pointer"),
    [
        ({"type": "hmac", "secrets": ["a"]}, "/auth/header"),
        ({**HMAC, "container": {"kind": "tree"}}, "/auth/container/kind"),
        ({**HMAC, "secrets": []}, "/auth/secrets"),
        ({**HMAC, "secrets": [{"fromEnv": "HOME"}]}, "/auth/secrets/0/fromEnv"),
        ({"type": "bearer"}, "/auth/secrets"),
        ({"type": "bearer", "header": "X", "secrets": ["a"]}, "/auth/header"),
        ({"type": "basic", "secrets": ["a"]}, "/auth/username"),
        ({**MTLS, "subjects": ["hooks"]}, "/auth/subjects/0"),
        ({**MTLS, "ca": issued(ROOT).pem}, "/auth/ca"),
        ({**MTLS, "ca": ROOT.pem.replace("M", "!")}, "/auth/ca"),
        ({**MTLS, "dnsNames": ["*"]}, "/auth/dnsNames/0"),
        ({"type": "mtls"}, "/auth"),
        ({"type": "url", "secrets": ["a"]}, "/auth/secrets"),
        ({"type": "nobody"}, "/auth/type"),
        ({"type": ["hmac"]}, "/auth/type"),
        ("hmac", "/auth"),
    ],
)
async def test_a_fault_is_told_where_it_stands(api: Api, auth: Any, pointer: str) -> None:
    reply = await api.send("POST", "/sources", {"platform": "shop", "auth": auth})
    assert (reply.status, reply.pointers) == (422, [pointer])


async def test_a_source_of_certificates_listens_where_the_tls_listener_is(api: Api) -> None:
    object.__setattr__(api.env.settings, "public_tls_ingest_url", "https://mtls.example:8443")
    made = await api.make("/sources", source(MTLS))
    assert made["ingestUrl"].startswith("https://mtls.example:8443/in/")
    more = await api.send("POST", "/sources/shop/urls")
    assert more.json["ingestUrl"].startswith("https://mtls.example:8443/in/")
    refused = await api.send("POST", "/sources/shop/secrets", {"secret": "x"})
    assert (refused.status, refused.pointers) == (422, ["/secret"])
    other = await api.make("/sources", {"platform": "other", "auth": {"type": "url"}})
    assert other["ingestUrl"].startswith("https://hooks.example/in/")


async def test_the_last_use_of_a_url_is_shown(api: Api) -> None:
    made = await api.make("/sources", source({"type": "url"}))
    old = made["urls"][0]["id"]
    new = (await api.send("POST", "/sources/shop/urls")).json["id"]
    api.env.registry.tallies.flush("p1", [{"source_id": made["id"], "secret_last_used": {new: 1_000}}])
    urls = (await api.send("GET", "/sources/shop")).json["urls"]
    assert {url["id"]: url["lastUsedAt"] for url in urls} == {old: None, new: "1970-01-01T00:00:01.000Z"}
