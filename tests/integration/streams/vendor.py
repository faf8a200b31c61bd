"""The vendor of the stage's tests; items may ask for the end of the process that decides them.

A module of its own: the child process that tries suspect records imports it by name.
"""

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.vendors.base import Facts, Headers, Vendor


def facts(item: Mapping[str, Any], _headers: Headers) -> Facts:
    if "kill" in item and not ("unless" in item and Path(item["unless"]).exists()):
        if "unless" in item:
            Path(item["unless"]).touch()
        os.kill(os.getpid(), signal.Signals[item["kill"]])
    if "eat" in item:
        bytearray(item["eat"])
    while "loop" in item:
        pass
    event_id = item.get("id")
    return Facts(event_type=item.get("type"), vendor_event_id=event_id if isinstance(event_id, str) else None)


VENDOR = Vendor(
    name="test", title="Test", docs="", auth=None, facts=facts, control=frozenset({"ping"}), volatile=("/attempt",)
)


def adapter(_platform: str) -> Vendor:
    return VENDOR
