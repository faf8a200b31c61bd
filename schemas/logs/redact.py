"""What a log line must not say: members named like a secret, and texts that look like one.

Lives here: the names and the forms. Hiding too much is right here: who debugs asks `/sources/{id}/verify`. Pure.
https://cheatsheetseries.owasp.org/cheatsheets/Logging_Cheat_Sheet.html#data-to-exclude
"""

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

HIDDEN = "***"
MOST_MEMBERS, DEEPEST = 100, 6
LONGEST = 20_000
"""Characters of one text that are looked through: the forms below take a time in proportion to it."""
_NAMES = "secret|passw(?:or)?d|passphrase|authorization|cookie|token|api[_-]?key|signature|credential|private[_-]?key"
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"',;&})\]]+)"""
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (re.compile(r"\b(?:hbk_|whsec_|whsk_)[A-Za-z0-9_\-+/=]{4,}"), HIDDEN),
    (re.compile(r"/in/[A-Za-z0-9_\-]{16,}"), HIDDEN),
    (re.compile(r"(://[^\s/:@\"']{0,100}):[^\s\"']{0,300}@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"\beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?"), HIDDEN),
    (re.compile(r"\b(Bearer|Basic|Digest|Token)\s+[A-Za-z0-9._~+/=\-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
)
"""Forms that hold in a finished line too: none crosses a quotation mark but a private key."""
_HEADER = re.compile(
    r"\b((?:proxy-)?authorization|(?:set-)?cookie)([\"']?\s*[:=,]\s*b?[\"']?)[^\r\n\"']+", re.IGNORECASE
)
_PAIR = re.compile(rf"((?:{_NAMES})[\w.\-]{{0,40}})([\"']?\s{{0,3}}[=:]\s{{0,3}}b?)(?!\s){_VALUE}", re.IGNORECASE)


def text(value: str) -> str:
    """Return a text without what looks like a secret."""
    value = line(cut(value, LONGEST))
    value = _HEADER.sub(rf"\1\2{HIDDEN}", value)
    return _PAIR.sub(rf"\1\2{HIDDEN}", value)


def cut(value: str, most: int) -> str:
    """Return a text of at most about `most` characters: its beginning and its end."""
    if len(value) <= most:
        return value
    head = most // 3
    return f"{value[:head]} …{len(value) - most} more… {value[head - most :]}"


def line(value: str) -> str:
    """Return a finished line without what looks like a secret by its own form; JSON stays JSON."""
    for form, instead in _FORMS:
        value = form.sub(instead, value)
    return value


def redact(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 structlog's processor
    """Replace what may be a secret, however deep (structlog processor)."""
    for name, value in event.items():
        event[name] = member(name, value)
    return event


def member(name: str, value: Any, depth: int = 0) -> Any:  # noqa: ANN401 whatever is logged
    """Return a member as it may be said: texts, numbers, lists and objects of them."""
    return HIDDEN if _SECRET_NAME.search(name) else plain(value, depth)


def plain(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 whatever is logged
    """Return a value as JSON has it, without secrets; what JSON does not know is its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return "…" if depth >= DEEPEST else _many(value, depth + 1)
    return text(_told(value))


def _many(value: Any, depth: int) -> Any:  # noqa: ANN401 an object or a list
    if isinstance(value, Mapping):
        kept = list(value.items())[:MOST_MEMBERS]
        return {text(str(name)): member(str(name), one, depth) for name, one in kept}
    return [plain(one, depth) for one in list(value)[:MOST_MEMBERS]]


def _told(value: object) -> str:
    if isinstance(value, str | PurePath):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value[:4096]).decode("utf-8", "replace")
    try:
        return repr(value) if not isinstance(value, BaseException) else f"{type(value).__name__}: {value}"
    except Exception as error:  # noqa: BLE001 somebody's repr must not end a line
        return f"<{type(value).__name__}: {type(error).__name__} in its text>"
