"""Every odd body and what becomes of it: the rows of the table in streams/shapes/README.md, each one a test.

`python -m tests.unit.streams.bodies` prints the table; test_bodies.py holds every row and that the README has it.
"""

import gzip
import zlib
from dataclasses import dataclass, field
from typing import Any

from streams.shapes import form, inflate, multipart
from streams.shapes.json_text import MAX_DEPTH
from streams.split import MAX_ITEMS

JSON, LINES, FORM = "application/json", "application/x-ndjson", "application/x-www-form-urlencoded"
PARTS, CE = 'multipart/form-data; boundary="b"', "application/cloudevents"
CE_HEADERS = {"ce-specversion": "1.0", "ce-id": "e1", "ce-source": "/s", "ce-type": "made"}
BAD, ODD_TYPE, BAD_TEXT = "quarantined not_parseable", "quarantined unsupported_content_type", "quarantined not_utf8"
CLEAN = "clean"


@dataclass(frozen=True, slots=True)
class Row:
    """`sent`, one delivery each, becomes `outcome`, one word an item, and for `note` has a reason.

    `payloads`: what the items hold, None = each body as sent. `parse`: the source's setting. `says`: a part of the
    quarantine's message. `around`: the envelopes.
    """

    case: str
    sent: tuple[bytes, ...]
    outcome: str
    note: str
    type: str | None = JSON
    headers: dict[str, str] = field(default_factory=dict)
    parse: dict[str, Any] = field(default_factory=dict)
    payloads: tuple[bytes, ...] | None = None
    says: str = ""
    around: tuple[bytes | None, ...] | None = None


def json_row(case: str, body: bytes | tuple[bytes, ...], outcome: str, note: str, **more: Any) -> Row:
    return Row(case, body if isinstance(body, tuple) else (body,), outcome, note, **more)


def coded(case: str, body: bytes, outcome: str, note: str, coding: str = "gzip", **more: Any) -> Row:
    return Row(case, (body,), outcome, note, headers={"content-encoding": coding}, **more)


def typed(kind: str | None, case: str, body: bytes, outcome: str, note: str, **more: Any) -> Row:
    return Row(case, (body,), outcome, note, type=kind, **more)


def part(name: str, content: bytes, more: str = "", kind: str = "") -> bytes:
    lines = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n' + (
        f"Content-Type: {kind}\r\n" if kind else ""
    )
    return lines.encode() + b"\r\n" + content + b"\r\n"


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1)


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


OBJECT = b'{"id":"1","b":2}'
ZIPPED = gzip.compress(OBJECT, mtime=0)
HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
FILE = b'{"filename":"h.txt","contentType":"text/plain","size":5,"sha256":"' + HELLO.encode() + b'"}'
LATIN, SJIS = "application/json; charset=ISO-8859-1", "application/json; charset=Shift_JIS"

ROWS: dict[str, tuple[Row, ...]] = {
    "JSON": (
        json_row("object", b' {"z": 1.50, "a":\t"\\u00e9"} ', CLEAN, "one item; the whitespace around it is not kept",
                 payloads=(b'{"z": 1.50, "a":\t"\\u00e9"}',)),
        json_row("array", b'[{"id":"1"}, {"id":"2"}]', "clean, clean", "one item a member",
                 payloads=(b'{"id":"1"}', b'{"id":"2"}')),
        json_row("empty array", b" [ ] ", "empty", "an empty batch is an outcome of its own"),
        json_row("array of other things", b'[{"id":"1"},7]', "clean, quarantined not_an_object", "each item by itself",
                 payloads=(b'{"id":"1"}', b"7")),
        json_row("no object", b"7", "quarantined not_an_object", "a row needs members"),
        typed(None, "no content type", OBJECT, CLEAN, "taken for JSON"),
        typed("application/vnd.shop.v2+json; charset=utf-8", "`+json`", OBJECT, CLEAN, "taken for JSON"),
        typed("Text/JSON", "`text/json`", OBJECT, CLEAN, "taken for JSON, in any case"),
        typed("text/plain", "another content type", OBJECT, ODD_TYPE, "nothing is guessed", says="parse.contentType"),
        typed("text/plain", "another content type, `parse.contentType` set", OBJECT, CLEAN,
                 "the source says what its bodies are",
              parse={"contentType": JSON}),
        json_row("empty body", b"", BAD, "no JSON text is empty", says="the body is empty"),
        json_row("whitespace only", b" \r\n", BAD, "the same", says="the body is empty"),
        json_row("cut off", b'{"a":"b', BAD, ""),
        json_row("trailing garbage", b'{"a":1}x', BAD, "anything but whitespace after the value"),
        json_row("two values in a row", b'{"a":1}\n{"a":2}', BAD, "that is NDJSON, which has content types of its own"),
        json_row("a trailing comma, a comment, single quotes", (b'{"a":1,}', b'{"a":1/**/}', b"{'a':1}"),
                 f"{BAD}, {BAD}, {BAD}", "RFC 8259 and nothing beside it"),
        json_row("`NaN`, `Infinity`", (b'{"a":NaN}', b'{"a":-Infinity}'), f"{BAD}, {BAD}", "not JSON"),
        json_row("`1e400`, 400 digits", (b'{"a":1e400}', b'{"a":' + b"1" * 400 + b"}"), f"{BAD}, {BAD}",
                 "beyond any double: no reader could hold it", says="infinity"),
        json_row("an integer beyond 64 bits", b'{"id":18446744073709551617}', CLEAN, "the payload keeps its digits"),
        json_row("two such integers under one id", (b'{"id":"1","n":18446744073709551617}',
                 b'{"id":"1","n":18446744073709551618}'),
                 "clean, quarantined id_conflict", "two contents, though one double"),
        json_row("two integers below 64 bits under one id", (b'{"id":"1","n":-9223372036854775809}',
                 b'{"id":"1","n":-9223372036854775810}'), "clean, quarantined id_conflict", "the same"),
        json_row("two long decimals under one id", (b'{"id":"1","n":0.10000000000000000001}', b'{"id":"1","n":0.1}'),
                 "clean, quarantined id_conflict", "the same for decimals"),
        json_row("`1e-400` and `2e-400` under one id", (b'{"id":"1","n":1e-400}', b'{"id":"1","n":2e-400}'),
                 "clean, duplicate", "nearer to zero than any double: one content"),
        json_row("one number in two spellings", (b'{"id":"1","n":1.0}', b'{"id":"1","n":1.00}'), "clean, duplicate",
                 "one content"),
        json_row("one long number in two spellings", (b'{"id":"1","n":0.12345678901234567891}',
                 b'{"id":"1","n":0.123456789012345678910}'),
                 "clean, duplicate", "one content"),
        json_row("duplicate keys", (b'{"id":"1","id":"2"}', b'{"id":"2"}'), "clean, duplicate",
                 "the last counts for id, type and content; the payload keeps both and the table its text in `_raw`"),
        json_row("empty key", b'{"":1}', CLEAN, "a name like any other"),
        json_row("`\\u0000`", b'{"a\\u0000":"\\u0000"}', CLEAN, "a character like any other"),
        json_row("surrogate pair", b'{"a":"\\ud83d\\ude00"}', CLEAN, "kept as sent"),
        json_row("lone surrogate", (b'{"a":"\\ud83d"}', b'{"a":"\\ude00x"}'), f"{BAD}, {BAD}",
                 "no text: UTF-8, Kafka's readers and Iceberg cannot hold it",
                 says="surrogate"),
        json_row("nested to the limit", nested(MAX_DEPTH), CLEAN, f"{MAX_DEPTH} containers"),
        json_row("nested deeper", nested(MAX_DEPTH + 1), "quarantined too_deep", ""),
        json_row("a nesting bomb", b"[" * 200_000, BAD, "the parser has a bound of its own"),
        json_row("too many items", b"[" + b"{}," * MAX_ITEMS + b"{}]", "quarantined too_many_items",
                 f"{MAX_ITEMS:,} a delivery; one row for all of it"),
    ),
    "charset": (
        json_row("a byte order mark", b"\xef\xbb\xbf" + OBJECT, CLEAN, "skipped (RFC 8259 section 8.1)",
                 payloads=(OBJECT,)),
        json_row("not UTF-8, nothing declared", '{"a":"é"}'.encode("latin-1"), BAD_TEXT, "nothing is guessed",
                 says="at byte 6"),
        json_row("a surrogate as UTF-8", b'{"a":"\xed\xa0\x80"}', BAD_TEXT, "no UTF-8"),
        typed(LATIN, "declared and not UTF-8", '{"a":"é"}'.encode("latin-1"), CLEAN,
                 "decoded by it; the payload is the text in UTF-8",
              payloads=('{"a":"é"}'.encode(),)),
        typed(LATIN, "declared otherwise and UTF-8", '{"a":"é"}'.encode(), CLEAN,
                 "UTF-8 goes first: many declare wrongly"),
        typed(SJIS, "not in the declared charset", b'{"a":"\x81"}', BAD_TEXT, "", says="shift_jis"),
        typed("application/json; charset=x-own", "an unknown charset and UTF-8", OBJECT, CLEAN, "nothing needs it"),
        typed("application/json; charset=x-own", "an unknown charset and not UTF-8", b'{"a":"\xff"}', ODD_TYPE, "",
                 says="x-own"),
        typed("application/json; charset=utf-16", "UTF-16, declared", '{"a":"é"}'.encode("utf-16"), CLEAN,
                 "UTF-16 and UTF-32 are what they say",
              payloads=('{"a":"é"}'.encode(),)),
        typed("application/json; charset=utf-16le", "UTF-16 of ASCII without a mark, declared",
              OBJECT.decode().encode("utf-16le"), CLEAN, "though its bytes are UTF-8 as well", payloads=(OBJECT,)),
        typed("application/json; charset=iso-2022-jp", "ISO-2022-JP, declared", '{"a":"日"}'.encode("iso-2022-jp"),
              CLEAN, "the same", payloads=('{"a":"日"}'.encode(),)),
        json_row("UTF-16, not declared", '{"a":1}'.encode("utf-16"), BAD_TEXT, "JSON is UTF-8"),
        typed("application/json; charset=utf-8", "`parse.charset` set", '{"a":"é"}'.encode("latin-1"), CLEAN,
                 "goes before everything",
              parse={"charset": "latin1"}, payloads=('{"a":"é"}'.encode(),)),
    ),
    "NDJSON": (
        typed(LINES, "lines", b'{"id":"1"}\r\n\n {"id":"2"} ', "clean, clean",
                 "one item a line; blank lines are nothing",
              payloads=(b'{"id":"1"}', b'{"id":"2"}')),
        typed(LINES, "a line that is no JSON", b'{"id":"1"}\n{\n{"id":"3"}\n', f"clean, {BAD}, clean",
                 "that line alone", says="line 2",
              payloads=(b'{"id":"1"}', b"{", b'{"id":"3"}')),
        typed(LINES, "a line that is not UTF-8", b'{"id":"1"}\n"\xff"', f"clean, {BAD_TEXT}", "that line alone",
                 payloads=(b'{"id":"1"}', b'"\xff"')),
        typed(LINES + "; charset=utf-16le", "lines in UTF-16", '{"id":"é"}\n{"id":"2"}'.encode("utf-16le"),
              "clean, clean", "",
              payloads=('{"id":"é"}'.encode(), b'{"id":"2"}')),
        typed(LINES, "a byte order mark before lines", b"\xef\xbb\xbf" + OBJECT, CLEAN, "skipped", payloads=(OBJECT,)),
        typed(LINES, "no lines", b"\n\n", "empty", ""),
        typed(LINES, "too many lines", b"{}\n" * (MAX_ITEMS + 1), "quarantined too_many_items", "as too many items"),
    ),
    "form": (
        typed(FORM, "fields", b"a=1&b=x+%C3%A9&c=&d", CLEAN, "one object of texts; numbers stay texts",
              payloads=('{"a":"1","b":"x é","c":"","d":""}'.encode(),)),
        typed(FORM, "a name again", b"a=1&b=2&a=3", CLEAN, "an array, in order", payloads=(b'{"a":["1","3"],"b":"2"}',
                 )),
        typed(FORM, "an empty name, a stray `%`", b"=1&%zz=%", CLEAN, "as browsers read it",
                 payloads=(b'{"":"1","%zz":"%"}',)),
        typed(FORM, "no fields", b"", "empty", ""),
        typed(FORM, "not UTF-8", b"a=%FF", BAD_TEXT, ""),
        typed(FORM + "; charset=iso-8859-1", "another charset declared", b"a=%E9", CLEAN, "as for JSON",
                 payloads=('{"a":"é"}'.encode(),)),
        typed(FORM, "too many fields", b"a&" * (form.MAX_FIELDS + 1), BAD, f"{form.MAX_FIELDS:,}", says="fields"),
        typed(FORM, "`payload=` alone", b"payload=%7B%22id%22%3A%221%22%2C%22n%22%3A1.50%7D", CLEAN,
                 "GitHub, Slack's interactivity: the JSON in it, as sent",
              payloads=(b'{"id":"1","n":1.50}',)),
        typed(FORM, "`payload=` alone, an array", b"payload=[{%22a%22:1},{%22a%22:2}]", "clean, clean",
                 "split as a JSON body", payloads=(b'{"a":1}', b'{"a":2}')),
        typed(FORM, "`payload=` alone, cut off", b"payload=%7B%22id%22", BAD, ""),
        typed(FORM, "`payload=` alone, no JSON", b"payload=hello", CLEAN, "a field like any other",
                 payloads=(b'{"payload":"hello"}',)),
        typed(FORM, "`payload=` and others", b"payload={}&a=1", CLEAN, "fields like any other",
                 payloads=(b'{"payload":"{}","a":"1"}',)),
        typed(FORM, "`payload=` and others, `parse.form: payload`", b"payload={}&a=1", CLEAN,
                 "the JSON in it; the others in `envelope`",
              parse={"form": "payload"}, payloads=(b"{}",), around=(b'{"a":"1"}',)),
        typed(FORM, "no `payload=`, `parse.form: payload`", b"a=1", BAD, "", parse={"form": "payload"},
                 says="0 fields named payload"),
        typed(FORM, "`payload=` alone, `parse.form: fields`", b"payload={}", CLEAN, "", parse={"form": "fields"},
                 payloads=(b'{"payload":"{}"}',)),
    ),
    "multipart": (
        typed(PARTS, "fields and a file", part("a", "é".encode()) + part("f", b"hello", '; filename="h.txt"',
                 "text/plain") + b"--b--\r\n", CLEAN,
              "one object; of a file name, type, size and SHA-256: its bytes stay in the raw record",
              payloads=('{"a":"é","f":'.encode() + FILE + b"}",)),
        typed(PARTS, "a JSON part", part("p", b' {"n": 1.50}', kind="application/json") + b"--b--", CLEAN,
                 "the JSON as sent", payloads=(b'{"p":{"n": 1.50}}',)),
        typed(PARTS, "a JSON part that is none", part("p", b"{", kind="application/json") + b"--b--", BAD, ""),
        typed(PARTS, "a name again", part("a", b"1") + part("a", b"--b2\r\n--bb") + b"--b--", CLEAN,
                 "an array, in order; a longer word than the boundary is content",
              payloads=(b'{"a":["1","--b2\\r\\n--bb"]}',)),
        typed(PARTS, "an empty part", part("a", b"") + b"--b--", CLEAN, "", payloads=(b'{"a":""}',)),
        typed(PARTS, "no parts", b"--b--\r\n", "empty", ""),
        typed(PARTS, "no last boundary", part("a", b"1"), BAD, "it was cut off", says="cut off"),
        typed(PARTS, "something before the first boundary", b"x\r\n" + part("a", b"1") + b"--b--", BAD,
                 "RFC 2046 allows it, no webhook sends it"),
        typed(PARTS, "something after the last boundary", part("a", b"1") + b"--b--\r\nx", BAD, "the same"),
        typed("multipart/form-data", "no boundary in the header", part("a", b"1") + b"--b--", BAD, "", says="boundary"),
        typed(PARTS, "a part without a name", b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", BAD, "",
                 says="name"),
        typed(PARTS, "a part in base64", part("a", b"MQ==", "\r\nContent-Transfer-Encoding: base64") + b"--b--", BAD,
              "RFC 7578 section 4.7", says="Content-Transfer-Encoding"),
        typed(PARTS, "a field that is not UTF-8", part("a", b"\xff") + b"--b--", BAD_TEXT, ""),
        typed(PARTS, "too many parts", part("a", b"") * (multipart.MAX_PARTS + 1) + b"--b--", BAD,
                 f"{multipart.MAX_PARTS:,}", says="parts"),
        typed("multipart/mixed; boundary=b", "another multipart", part("a", b"1") + b"--b--", ODD_TYPE, ""),
    ),
    "CloudEvents": (
        typed(JSON, "binary", b' {"n": 1.50}\n', CLEAN, "the payload is the data, `envelope` the attributes",
                 headers=CE_HEADERS | {"ce-subject": "caf%C3%A9"},
              payloads=(b'{"n": 1.50}',),
              around=('{"specversion":"1.0","id":"e1","source":"/s","type":"made","subject":"café","datacontenttype":"application/json"}'.encode(),)),
        typed(None, "binary without data", b"", CLEAN, "the payload is `{}`", headers=CE_HEADERS, payloads=(b"{}",)),
        typed(JSON, "binary, an array", b"[{}]", "quarantined not_an_object", "data is one value, never a batch",
                 headers=CE_HEADERS),
        typed("text/plain", "binary, no JSON", b"hello", ODD_TYPE, "", headers=CE_HEADERS),
        typed(CE + "+json", "structured", b'{"specversion":"1.0","id":"e1","data":{"n":1.50}}', CLEAN,
                 "the payload is the whole event"),
        typed(CE + "+json", "structured, an array", b"[{}]", BAD, "", says="one JSON object"),
        typed(CE + "-batch+json", "batched", b'[{"id":"1"},{"id":"2"}]', "clean, clean", "", payloads=(b'{"id":"1"}',
                 b'{"id":"2"}')),
        typed(CE + "-batch+json", "batched, empty", b"[]", "empty", ""),
        typed(CE + "-batch+json", "batched, no array", b"{}", BAD, "", says="array of events"),
    ),
    "content coding": (
        coded("gzip", ZIPPED, CLEAN, "inflated", payloads=(OBJECT,)),
        coded("`x-gzip`, upper case", ZIPPED, CLEAN, "", " GZIP", payloads=(OBJECT,)),
        coded("gzip of several members", gzip.compress(OBJECT[:5]) + gzip.compress(b"") + gzip.compress(OBJECT[5:]),
                 CLEAN, "RFC 1952 section 2.2", payloads=(OBJECT,)),
        coded("deflate", zlib.compress(OBJECT), CLEAN, "zlib's form, as RFC 9110 says", "deflate", payloads=(OBJECT,)),
        coded("deflate without zlib's frame", raw_deflate(OBJECT), CLEAN, "what some senders have always meant",
                 "deflate", payloads=(OBJECT,)),
        coded("`identity`", OBJECT, CLEAN, "", "identity"),
        coded("gzip, cut off", ZIPPED[:-1], BAD, "", says="cut off"),
        coded("gzip, empty", b"", BAD, "", says="cut off"),
        coded("gzip, damaged", ZIPPED[:-8] + b"\0\0\0\0" + ZIPPED[-4:], BAD, "its checksum is checked", says="gzip"),
        coded("no gzip at all", OBJECT, BAD, "nothing is guessed", says="gzip"),
        coded("bytes after gzip", ZIPPED + b"\0", BAD, "zeros too", says="1 bytes follow"),
        coded("bytes after deflate", zlib.compress(OBJECT) + b"x", BAD, "", "deflate", says="1 bytes follow"),
        coded("a bomb", gzip.compress(bytes(64 << 20), 9), "quarantined too_large",
                 "more than the vendor's largest body (20,000,000 bytes where it says none)",
              says="inflates to more"),
        coded("a bomb of members", ZIPPED * 2_000, BAD, f"{inflate.MAX_MEMBERS:,}", says="members"),
        coded("another coding, `br`", OBJECT, ODD_TYPE, "", "br", says="'br'"),
        coded("two codings", gzip.compress(ZIPPED), ODD_TYPE, "one at most", "gzip, gzip"),
    ),
}  # fmt: skip


def table() -> str:
    """Return the table of the README."""
    lines = ["| shape | body | outcome | |", "|---|---|---|---|"]
    for shape, rows in ROWS.items():
        lines += [f"| {shape} | {row.case} | {row.outcome} | {row.note} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
