"""How a source's bodies are read: what stands in for what a sender's headers say (spec section 5, member `parse`).

Lives here: the setting and the closed list of charsets. Not here: reading bodies (streams/shapes).
Names of charsets: https://www.iana.org/assignments/character-sets.
"""

import codecs
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.definitions.base import Definition

CHARSETS = (
    "utf-8", "us-ascii", "utf-16", "utf-16le", "utf-16be", "utf-32", "utf-32le", "utf-32be",
    *(f"iso-8859-{part}" for part in range(1, 17) if part != 12),  # noqa: PLR2004 there is no part 12
    *(f"windows-{page}" for page in range(1250, 1259)), "cp874",
    "shift_jis", "cp932", "euc-jp", "iso-2022-jp", "gb2312", "gbk", "gb18030", "big5", "euc-kr",
    "koi8-r", "koi8-u",
)  # fmt: skip
"""The charsets that are decoded; other names of the same ones are taken too."""
_CODECS = frozenset(codecs.lookup(name).name for name in CHARSETS)
_MAX_NAME = 40


@lru_cache(maxsize=256)
def codec(charset: str) -> str | None:
    """Return Python's name of a charset, None for one that is not decoded."""
    name = charset.strip().strip("\"'").lower()
    if not name.isascii() or not 0 < len(name) <= _MAX_NAME or "\0" in name:
        return None
    try:
        found = codecs.lookup(name).name
    except LookupError:
        return None
    return found if found in _CODECS else None


def _known(charset: str) -> str:
    if codec(charset) is None:
        raise ValueError(f"{charset!r} is not a charset that is decoded; for example utf-8, iso-8859-1, shift_jis")
    return charset


ContentType = Literal[
    "application/json",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
]


class Parse(Definition):
    """How bodies are read where a sender's headers are missing or wrong; null = by what they say.

    `contentType`: the shape of every body (multipart cannot be forced: its boundary stands in the header). `charset`:
    of every body, whatever is declared. `form`: `payload` takes the JSON in the field of that name, `fields` never
    does; null takes it where it is the only field.
    """

    content_type: ContentType | None = None
    charset: Annotated[str, Field(max_length=_MAX_NAME), AfterValidator(_known)] | None = None
    form: Literal["fields", "payload"] | None = None
