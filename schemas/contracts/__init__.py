"""Pinned JSON Schemas: compiled once, then asked of each event (spec section 7).

Drafts 4 to 2020-12 by `$schema` (absent: 2020-12); `format` is never asserted; nothing is ever fetched.
"""

from schemas.contracts.compile import Contract, check_schema, compile_schema
from schemas.contracts.library import Library

__all__ = ["Contract", "Library", "check_schema", "compile_schema"]
