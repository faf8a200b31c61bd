"""Signature vectors: the vendors' published ones (when their file is at hand) and our own, judged by one engine.

Our own were computed with the standard library's hmac alone, never with the code under test.
"""

import base64
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from schemas.signing import Invalid, Scheme, SignedRequest, Valid, verify
from schemas.vendors import VENDORS

HERE = Path(__file__).parent
PUBLISHED = Path(os.environ.get("HOOKBERG_TEST_VECTORS", HERE.parents[3] / "shared/vectors/signature_vectors.json"))
OWN: list[dict[str, Any]] = json.loads((HERE / "own_vectors.json").read_text("utf-8"))
COVERED = ("github", "stripe", "slack")


def published() -> list[dict[str, Any]]:
    if not PUBLISHED.is_file():
        return []
    return [one for one in json.loads(PUBLISHED.read_text("utf-8")) if one["vendor"] in COVERED]


def scheme(vendor: str) -> Scheme:
    found = VENDORS[vendor].auth
    assert found is not None
    return found


@pytest.mark.parametrize("vector", OWN, ids=lambda vector: vector["id"])
def test_judges_own_vectors(vector: dict[str, Any]) -> None:
    request = SignedRequest(
        "POST",
        "https://hooks.example.com/in/1",
        tuple((name, value) for name, value in vector["headers"]),
        base64.b64decode(vector["bodyBase64"]),
    )
    verdict = verify(scheme(vector["scheme"]), request, [text.encode() for text in vector["secrets"]], vector["now"])
    assert verdict == (Valid(vector["secret"]) if vector["expect"] == "valid" else Invalid(vector["expect"]))


def test_own_vectors_cover_each_scheme_both_ways() -> None:
    counts = Counter((one["scheme"], one["expect"] == "valid") for one in OWN)
    for vendor in COVERED:
        assert counts[vendor, True] >= 4
        assert counts[vendor, True] + counts[vendor, False] >= 10


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="no published vectors: name their file in HOOKBERG_TEST_VECTORS")
@pytest.mark.parametrize("vector", published(), ids=lambda vector: vector["id"])
def test_judges_published_vectors(vector: dict[str, Any]) -> None:
    request = SignedRequest(
        vector["method"],
        vector.get("url", ""),
        tuple(vector["headers"].items()),
        base64.b64decode(vector["body_base64"]),
    )
    secrets = [text.encode() for text in (vector["secret"], *vector.get("extra_secrets", ()))]
    verdict = verify(scheme(vector["vendor"]), request, secrets, vector["now_epoch"])
    assert isinstance(verdict, Valid if vector["expect"] == "valid" else Invalid), vector["reason"]
