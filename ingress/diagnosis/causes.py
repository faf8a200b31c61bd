"""Why a request was refused: the closed list of causes, and one finding.

Lives here: the names. The words of a finding are written where it is found, because they name headers, algorithms and
what to do. Not here: looking for them (search.py, guesses.py).
"""
# ruff: noqa: S105 names of causes, no secrets

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What went wrong on the way from the sender's signature to ours."""

    # ---- the body is not what was signed
    BODY_REENCODED = "body_reencoded"
    BODY_LINE_ENDS = "body_line_ends"
    BODY_BOM = "body_bom"
    BODY_FORM = "body_form"
    BODY_CHARSET = "body_charset"
    BODY_COMPRESSED = "body_compressed"
    BODY_TRUNCATED = "body_truncated"
    ITEM_ALTERED = "item_altered"
    # ---- the secret
    SECRET_OF_ANOTHER_SOURCE = "secret_of_another_source"
    SECRET_REMOVED = "secret_removed"
    SECRET_ENVIRONMENT = "secret_environment"
    SECRET_WHITESPACE = "secret_whitespace"
    SECRET_PREFIX = "secret_prefix"
    SECRET_ENCODING = "secret_encoding"
    SECRET_KIND = "secret_kind"
    SECRET_UNUSABLE = "secret_unusable"
    # ---- what is signed, and how
    URL_MISMATCH = "url_mismatch"
    ALGORITHM = "algorithm"
    MESSAGE = "message"
    PLATFORM = "platform"
    # ---- the time
    CLOCK_TIME_ZONE = "clock_time_zone"
    CLOCK_UNIT = "clock_unit"
    CLOCK_FORMAT = "clock_format"
    CLOCK_OFF = "clock_off"
    # ---- the headers
    HEADER_MISSING = "header_missing"
    HEADER_NAME = "header_name"
    HEADER_DUPLICATED = "header_duplicated"
    HEADER_HIDDEN = "header_hidden"
    SIGNATURE_ENCODING = "signature_encoding"
    SIGNATURE_FORM = "signature_form"
    # ---- what is no signature
    TOKEN = "token"
    CREDENTIAL = "credential"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause in words that say what to do. `certain`: a signature proved it; else it is the likeliest guess."""

    cause: Cause
    detail: str
    certain: bool
