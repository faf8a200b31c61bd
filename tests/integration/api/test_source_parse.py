"""A source's `parse`: how its bodies are read, said over REST, checked, and described in the OpenAPI document."""

from typing import Any

import pytest

from schemas.definitions.parse import CHARSETS, codec
from tests.integration.api.world import Api

SOURCE: dict[str, Any] = {"platform": "shop", "auth": {"type": "url"}}
SAID = {"contentType": "application/x-www-form-urlencoded", "charset": "iso-8859-1", "form": "payload"}
SILENT = {"contentType": None, "charset": None, "form": None}


async def test_how_bodies_are_read_is_shown_changed_and_taken_back(api: Api) -> None:
    made = await api.make("/sources", SOURCE | {"parse": SAID})
    assert made["parse"] == SAID
    changed = await api.send("PATCH", "/sources/shop", {"parse": {"form": None, "contentType": "application/x-ndjson"}})
    assert changed.json["parse"] == SAID | {"form": None, "contentType": "application/x-ndjson"}
    back = await api.send("PATCH", "/sources/shop", {"parse": None})
    assert back.status == 200
    assert (await api.send("GET", "/sources/shop")).json["parse"] == SILENT


async def test_a_source_that_says_nothing_reads_by_content_type(api: Api) -> None:
    assert (await api.make("/sources", SOURCE))["parse"] == SILENT


@pytest.mark.parametrize(
    ("parse", "pointer"),
    [
        ({"contentType": "text/xml"}, "/parse/contentType"),
        ({"contentType": "multipart/form-data"}, "/parse/contentType"),
        ({"charset": "x-own"}, "/parse/charset"),
        ({"charset": "rot13"}, "/parse/charset"),
        ({"charset": "u" * 41}, "/parse/charset"),
        ({"form": "json"}, "/parse/form"),
        ({"boundary": "b"}, "/parse/boundary"),
        (7, "/parse"),
    ],
)
async def test_refuses_what_nothing_here_reads(api: Api, parse: object, pointer: str) -> None:
    reply = await api.send("POST", "/sources", SOURCE | {"parse": parse})
    assert (reply.status, reply.reason) == (422, "invalid_definition")
    assert pointer in reply.pointers


async def test_openapi_describes_it(api: Api) -> None:
    document = (await api.send("GET", "/openapi.json")).json
    found = document["components"]["schemas"]["Parse"]["properties"]
    assert set(found) == {"contentType", "charset", "form"}
    assert "application/cloudevents-batch+json" in str(found["contentType"])


@pytest.mark.parametrize("charset", CHARSETS)
def test_every_charset_that_is_named_is_decoded(charset: str) -> None:
    found = codec(charset.upper())
    assert found is not None
    assert "1".encode(found).decode(found) == "1"


@pytest.mark.parametrize("name", ["rot13", "zlib", "hex", "idna", "punycode", "unicode_escape", "utf-7", "", "\0", "é"])
def test_codecs_that_are_no_charsets_are_not(name: str) -> None:
    assert codec(name) is None
