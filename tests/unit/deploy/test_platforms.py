"""`hookberg platforms NAME`: one vendor, for a person who sets it up."""

import json

import pytest

from deploy.cli.objects import platform_text
from ingress.api.resources.platforms import Platform, _wire
from schemas.definitions.source import SourceDefinition
from schemas.vendors import VENDORS


def test_shows_steps_proof_and_limits() -> None:
    said = platform_text(_wire(VENDORS["hubspot"])).splitlines()
    assert said[0] == "HubSpot (hubspot)"
    assert "  1. Set public_ingest_url to the exact address that HubSpot calls." in said
    assert "  hubspot: sha256 in the header X-HubSpot-Signature-v3, within 300 s; covers: full" in said
    assert said[-1] == "  answer within 5 s with 200; retries for 72 h; bodies to 20,000,000 bytes"


@pytest.mark.parametrize("name", VENDORS)
def test_what_it_says_to_create_is_a_source(name: str) -> None:
    vendor = _wire(VENDORS[name])
    Platform.model_validate(vendor)
    line = next(line for line in platform_text(vendor).splitlines() if line.startswith("  echo "))
    made = SourceDefinition.model_validate(json.loads(line.split("'")[1]))
    assert made.platform == name
    assert made.auth.type == (name if VENDORS[name].schemes or VENDORS[name].jwt else "none")
    assert all(len(line) <= 140 for line in platform_text(vendor).splitlines())
