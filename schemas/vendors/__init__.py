"""Vendors as data: one file each, one line each in `VENDORS`. The shapes are in base.py."""

from collections.abc import Mapping

from schemas.vendors.base import Vendor
from schemas.vendors.generic import GENERIC
from schemas.vendors.github import GITHUB
from schemas.vendors.slack import SLACK
from schemas.vendors.stripe import STRIPE

VENDORS: Mapping[str, Vendor] = {
    "generic": GENERIC,
    "github": GITHUB,
    "slack": SLACK,
    "stripe": STRIPE,
}


def adapter(platform: str) -> Vendor:
    """Return the vendor of this name, else generic: any platform name may be used."""
    return VENDORS.get(platform, GENERIC)
