"""How fast bodies of every shape are read: MB of body a CPU second, beside `orjson.loads` alone on the JSON body.

One body a shape with the same 200 orders in it, or one order where the shape holds one event. Rounds in turn, medians.
MB are of the body as it is inflated; the floor reads values, the stage's parsers also cut out payloads and envelopes.
"""

import gzip
import random
import statistics
import time
import zlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote_plus, urlencode

import orjson

from streams.shapes.read import How, read
from tests.benchmarks.measure import Figure

ORDERS = 200
ROUNDS = 9
ROUND_S = 0.15
_FORM = {"content-type": "application/x-www-form-urlencoded"}
_PARTS = {"content-type": "multipart/form-data; boundary=b"}
_CE = {"ce-id": "1", "ce-source": "/shop", "ce-specversion": "1.0", "ce-type": "order.new"}
_FILE = 1 << 20
Body = tuple[bytes, Mapping[str, str], How]


def order(number: int, draw: random.Random) -> dict[str, Any]:
    """Return an order of about 1 KB."""
    lines = [{"sku": f"{draw.getrandbits(40):010x}", "count": draw.randrange(9), "price": draw.randrange(9999) / 100}
             for _ in range(14)]  # fmt: skip
    return {
        "id": f"ord_{number}",
        "type": "order.new",
        "created": 1_800_000_000 + number,
        "note": "x" * 200,
        "lines": lines,
    }


def bodies() -> dict[str, Body]:
    """Return a body of every shape with its headers."""
    draw = random.Random(1)
    orders = [order(number, draw) for number in range(ORDERS)]
    one, batch = orjson.dumps(orders[0]), orjson.dumps(orders)
    lines = b"\n".join(orjson.dumps(each) for each in orders)
    wrapped = orjson.dumps({"live": "false", "items": [{"item": each} for each in orders]})
    fields = urlencode(
        [(f"{name}_{number}", value) for number, each in enumerate(orders) for name, value in each.items()]
    )
    file = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    text = b"".join(file % (b"f%d" % number, b"", orjson.dumps(each)) for number, each in enumerate(orders))
    binary = file % (b"file", b'; filename="f.bin"', random.Random(2).randbytes(_FILE))
    plain, by_path = How(), How(paths=(("items", "*", "item"),))
    json_type = {"content-type": "application/json; charset=utf-8"}
    latin = {"content-type": "application/json; charset=iso-8859-1"}
    return {
        "JSON object, 1 KB": (one, json_type, plain),
        "JSON array": (batch, json_type, plain),
        "JSON, split by path": (wrapped, json_type, by_path),
        "JSON in Latin-1, decoded": (batch.replace(b"xxxx", b"x\xe9xx"), latin, plain),
        "NDJSON": (lines, {"content-type": "application/x-ndjson"}, plain),
        "form, 1,000 fields": (fields.encode(), _FORM, plain),
        "form, payload=": (b"payload=" + quote_plus(batch).encode(), _FORM, plain),
        "multipart, 200 fields": (text + b"--b--\r\n", _PARTS, plain),
        "multipart, a file of 1 MiB": (binary + b"--b--\r\n", _PARTS, plain),
        "CloudEvent, binary, 1 KB": (one, json_type | _CE, plain),
        "CloudEvents, batched": (batch, {"content-type": "application/cloudevents-batch+json"}, plain),
        "gzip of the JSON array": (gzip.compress(batch, 6), json_type | {"content-encoding": "gzip"}, plain),
        "deflate of the JSON array": (zlib.compress(batch, 6), json_type | {"content-encoding": "deflate"}, plain),
    }  # fmt: skip


def parsers() -> list[Figure]:
    """Measure every parser and the floor, in turn."""
    given = bodies()
    floor = given["JSON array"][0]
    calls: dict[str, tuple[int, Callable[[], object]]] = {
        "orjson.loads alone (the floor)": (len(floor), lambda: orjson.loads(floor))
    }
    for name, (body, headers, how) in given.items():
        size = len(floor) if "content-encoding" in headers else len(body)
        calls[name] = (size, _reader(body, headers, how))
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, (size, call) in calls.items():
            spent[name].append(_speed(call, size))
    middle = {name: statistics.median(speeds) for name, speeds in spent.items()}
    base = middle["orjson.loads alone (the floor)"]
    return [
        Figure(
            f"parsers: {name}",
            f"{speed:,.0f} MB/s, {speed / base:.2f} of the floor",
            f"median of {ROUNDS} in turn, {min(spent[name]):,.0f} to {max(spent[name]):,.0f}; {calls[name][0]:,} bytes",
        )
        for name, speed in middle.items()
    ]


def _reader(body: bytes, headers: Mapping[str, str], how: How) -> Callable[[], object]:
    def call() -> object:
        return read(body, headers, how)

    return call


def _speed(call: Callable[[], object], size: int) -> float:
    """Return MB a CPU second over about ROUND_S."""
    times, start = 0, time.process_time()
    while (used := time.process_time() - start) < ROUND_S:
        call()
        times += 1
    return size * times / used / 1e6
