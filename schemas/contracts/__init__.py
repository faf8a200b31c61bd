"""Pinned JSON Schemas: compiled once, then asked of each event; compared before a version is added (spec section 7).

Drafts 4 to 2020-12 by `$schema` (absent: 2020-12); nothing is ever fetched. README.md has what compatibility means.
"""

from schemas.contracts.compare import Break, breaks
from schemas.contracts.compile import Asserted, Contract, check_schema, compile_schema
from schemas.contracts.library import Library

__all__ = ["Asserted", "Break", "Contract", "Library", "breaks", "check_schema", "compile_schema"]
