"""The table of vendors in schemas/vendors/README.md, made of the registry: `python -m tests.contract.vendors.table`."""

from pathlib import Path

from deploy.reference import put
from schemas.signing import Scheme, jwt
from schemas.vendors import VENDORS
from schemas.vendors.base import DAY_S, HOUR_S, MIB, JwtRule, Vendor

README = Path(__file__).parents[3] / "schemas/vendors/README.md"
BEGIN, END = "<!-- table: made by tests/contract/vendors/table.py -->\n", "<!-- end of table -->"
HEAD = (
    "| name | proof | tolerance | covers | a delivery's id | batches | handshake | answer | within | retries "
    "| overload | body |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|\n"
)
_COVERS = {"full": "full", "partial": "part", "none": "none"}


def table() -> str:
    """Return the table's text."""
    return HEAD + "".join(_row(VENDORS[name]) for name in sorted(VENDORS))


def _row(vendor: Vendor) -> str:
    proofs = [_proof(scheme) for scheme in vendor.schemes] or [_token(vendor.jwt) if vendor.jwt else "-"]
    ages = {str(one.freshness.past_s) + " s" for one in vendor.schemes if one.freshness is not None}
    ages |= {f"{vendor.jwt.leeway_s} s"} if vendor.jwt else set()
    covers = {_COVERS[one.coverage] for one in vendor.schemes} | ({"part"} if vendor.first_item_signed else set())
    cells = (
        vendor.name,
        "; ".join(dict.fromkeys(proofs)),
        ", ".join(sorted(ages)) or "-",
        ", ".join(sorted(covers)) or "none",
        "yes" if vendor.partitioning == "event" else "items'",
        "array" + "".join(f", `{path}`" for path in vendor.split),
        ", ".join(method for one in vendor.handshakes for method in one.methods) or "-",
        f"{vendor.success.status}" + ("" if vendor.success.body is None else " own body"),
        f"{vendor.deadline_s:g} s",
        _span(vendor.retry_span_s),
        f"{vendor.overload}, {vendor.overload_status}",
        f"{vendor.body_limit // MIB} MiB" if vendor.body_limit % MIB == 0 else f"{vendor.body_limit // 1_000_000} MB",
    )
    return f"| {' | '.join(cells)} |\n"


def _proof(scheme: Scheme) -> str:
    place = "in each item" if scheme.items is not None else f"`{scheme.container.header}`"
    return f"{scheme.algorithm} {place}"


def _token(rule: JwtRule) -> str:
    return f"JWT {', '.join(rule.algorithms)} `{jwt.HEADER}`"


def _span(seconds: int) -> str:
    if not seconds:
        return "-"
    return f"{seconds // DAY_S} d" if seconds % DAY_S == 0 else f"{seconds // HOUR_S} h"


def main() -> None:
    """Write the table into the README."""
    README.write_text(put(README.read_text("utf-8"), BEGIN, END, table()), "utf-8")


if __name__ == "__main__":
    main()
