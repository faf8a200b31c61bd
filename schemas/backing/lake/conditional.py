"""Does the store keep its word on conditional writes? Asked once at the start, and written into the log as a fact.

Lives here: the probe and the signature that it needs. Nothing in Hookberg relies on such writes: commits go through the
catalog. Who builds a lock on the bucket wants to know, for some stores ignore If-None-Match and say 200 to everybody.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import requests

from schemas import logs
from schemas.settings.processes import LakeSettings

TIMEOUT_S = 5.0
_OK, _TAKEN = 200, 412
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """`kept`: the second of two writes that ask for a new object was refused; None: it is not known, see `why`."""

    kept: bool | None
    why: str


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Where the probe's object goes, and who writes it."""

    url: str
    path: str
    region: str
    key: str
    secret: str = field(repr=False)
    session: str = field(repr=False)


def report(settings: LakeSettings, now: dt.datetime, word: str) -> None:
    """Probe the warehouse if it is in S3, and log the answer. Raises nothing; blocks for three requests, 15 s at most.

    `word` makes the object's name new.
    """
    if (settings.catalog_warehouse or "").startswith("s3://"):
        answer = probe(settings, now, word)
        log.info("store_conditional_writes", kept=answer.kept, detail=answer.why)


def probe(settings: LakeSettings, now: dt.datetime, word: str) -> Answer:
    """Write a new object twice with If-None-Match, delete it, and say what the store made of it."""
    bucket = _bucket(settings, word)
    if bucket is None:
        return Answer(None, "no keys among the catalog's properties to ask with")
    try:
        first, second = (_send("PUT", bucket, now, {"if-none-match": "*"}) for _ in range(2))
        _send("DELETE", bucket, now, {})
    except (requests.RequestException, ValueError) as error:
        return Answer(None, f"the store could not be asked: {type(error).__name__}")
    if first != _OK:
        return Answer(None, f"a write of a new object was answered with {first}")
    if second == _TAKEN:
        return Answer(True, "the second of two writes was refused")
    if second == _OK:
        return Answer(False, "the second of two writes replaced the first: If-None-Match is ignored")
    return Answer(None, f"the second of two writes was answered with {second}")


def _bucket(settings: LakeSettings, word: str) -> _Bucket | None:
    given = {name: str(value) for name, value in settings.catalog_properties.items()}

    def said(*names: str) -> str:
        return next((given[name] for name in names if given.get(name)), "")

    key, secret = (
        said("s3.access-key-id", "client.access-key-id"),
        said("s3.secret-access-key", "client.secret-access-key"),
    )
    if not key or not secret:
        return None
    place = urlsplit(settings.catalog_warehouse or "")
    region = said("s3.region", "client.region") or "us-east-1"
    name = quote(f"{place.path.rstrip('/')}/.hookberg-probe-{word}")
    endpoint = said("s3.endpoint")
    if endpoint and said("s3.force-virtual-addressing").lower() != "true":
        url, path = endpoint.rstrip("/"), f"/{place.netloc}{name}"
    else:
        home = urlsplit(endpoint or f"https://s3.{region}.amazonaws.com")
        url, path = f"{home.scheme}://{place.netloc}.{home.netloc}", name
    return _Bucket(url, path, region, key, secret, said("s3.session-token", "client.session-token"))


def _send(method: str, bucket: _Bucket, now: dt.datetime, headers: Mapping[str, str]) -> int:
    body = b"" if method == "DELETE" else b"made by the start of a process, which deletes it at once\n"
    headers = _signed(method, bucket, now, headers, hashlib.sha256(body).hexdigest())
    answer = requests.request(
        method, bucket.url + bucket.path, data=body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False
    )
    return answer.status_code


def _signed(method: str, bucket: _Bucket, now: dt.datetime, more: Mapping[str, str], digest: str) -> dict[str, str]:
    """Return the headers of a request with AWS' signature, version 4."""
    at = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{at[:8]}/{bucket.region}/s3/aws4_request"
    headers = {"host": urlsplit(bucket.url).netloc, "x-amz-content-sha256": digest, "x-amz-date": at, **more}
    if bucket.session:
        headers["x-amz-security-token"] = bucket.session
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    asked = hashlib.sha256(f"{method}\n{bucket.path}\n\n{lines}\n{names}\n{digest}".encode()).hexdigest()
    made = f"AWS4{bucket.secret}".encode()
    for step in (at[:8], bucket.region, "s3", "aws4_request"):
        made = hmac.digest(made, step.encode(), "sha256")
    signature = hmac.digest(made, f"AWS4-HMAC-SHA256\n{at}\n{scope}\n{asked}".encode(), "sha256").hex()
    credential = f"Credential={bucket.key}/{scope}"
    headers["authorization"] = f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}"
    return headers
