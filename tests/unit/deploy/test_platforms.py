"""`hookberg platforms NAME`: one vendor, for a person who sets it up."""

import json

import pytest

from deploy.cli.objects import platform_text
from ingress.api.resources.platforms import Platform, wire
from schemas.definitions.source import SourceDefinition
from schemas.vendors import VENDORS

BASE = "https://hooks.example"


def test_shows_steps_proof_and_limits() -> None:
    said = platform_text(wire(VENDORS["hubspot"], BASE)).splitlines()
    assert said[0] == "HubSpot (hubspot)"
    assert f"  1. Set public_ingest_url (now {BASE}) to the exact address that HubSpot calls." in said
    assert f"  its URL: {BASE}/in/…" in said
    assert "  hubspot: sha256 in the header X-HubSpot-Signature-v3, within 300 s; covers: full" in said
    assert said[-1] == "  answer within 5 s with 200; retries for 72 h; bodies to 20,000,000 bytes"


@pytest.mark.parametrize("name", VENDORS)
def test_what_it_says_to_create_is_a_source(name: str) -> None:
    vendor = wire(VENDORS[name], BASE)
    Platform.model_validate(vendor)
    line = next(line for line in platform_text(vendor).splitlines() if line.startswith("  echo "))
    made = SourceDefinition.model_validate(json.loads(line.split("'")[1]))
    assert made.platform == name
    assert made.auth.type == (name if VENDORS[name].schemes or VENDORS[name].jwt else "none")
    assert all(len(line) <= 140 for line in platform_text(vendor).splitlines())


@pytest.mark.parametrize("name", VENDORS)
def test_every_url_of_a_platform_begins_with_the_public_address(name: str) -> None:
    vendor = wire(VENDORS[name], BASE)
    assert vendor["ingestUrl"].startswith(f"{BASE}/")
    told = [step for step in vendor["setup"] if "public_ingest_url" in step]
    assert all(f"public_ingest_url (now {BASE})" in step for step in told)


def test_an_address_of_this_machine_is_said_to_be_one() -> None:
    said = platform_text(wire(VENDORS["generic"], "http://127.0.0.1:8081"))
    address = "http://127.0.0.1:8081/api/v1/webhooks/generic"
    assert f"  its URL: {address} (of this machine only: set HOOKBERG_PUBLIC_INGEST_URL)" in said
    assert "only" not in platform_text(wire(VENDORS["generic"], BASE))
