"""ETags: `"{version}.{checksum}"`: the version guards updates, the checksum tells a changed answer (RFC 9110 8.8, 13).

`If-None-Match` compares the whole tag, so a counter or a state that moved is not hidden behind a 304. `If-Match`
compares the version only, so that such a counter cannot make an update fail; a weak tag does too, because proxies that
compress weaken tags.
"""

import re
import zlib

from schemas.errors import Refused
from schemas.reasons import Reason

MAX_HEADER = 1024
_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_LIST = re.compile(r'\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_VERSION = re.compile(r"[0-9]{1,9}")


def make(version: int, body: bytes) -> str:
    """Return the ETag of an answer about an object at `version`."""
    return f'"{version}.{zlib.crc32(body):08x}"'


def versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that `If-Match` allows; None when it is absent or `*`; raise `Refused(bad_request)`.

    A tag that is none of ours matches nothing.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = _tags("If-Match", if_match)
    heads = (tag.partition(".")[0] for tag in tags)
    return frozenset(int(head) for head in heads if _VERSION.fullmatch(head))


def unchanged(if_none_match: str | None, etag: str) -> bool:
    """Tell whether the caller's copy is the answer (304); `*` matches any object that exists."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.strip('"') in _tags("If-None-Match", if_none_match)


def create_only(if_none_match: str | None) -> bool:
    """Tell whether a PUT asks to create and never to replace (`If-None-Match: *`)."""
    return if_none_match is not None and if_none_match.strip() == "*"


def _tags(header: str, value: str) -> list[str]:
    if len(value) > MAX_HEADER or not _LIST.fullmatch(value):
        raise Refused(Reason.BAD_REQUEST, f'{header} is not a list of entity tags, for example "3"')
    return _TAG.findall(value)
