"""An outbound webhook as OpenMetadata's users write it is taken; what would not be what they mean is refused."""

from typing import Any

import pytest

from schemas.definitions.base import read
from schemas.definitions.webhook import WebhookDefinition
from schemas.errors import Refused

PAGE: dict[str, Any] = {
    "name": "SlackTableNotifications",
    "displayName": "Slack Table Notifications",
    "webhookType": "Slack",
    "eventFilters": [{"eventType": "entityUpdated", "entities": ["table"], "include": ["tags", "owner"]}],
    "webhookConfig": {
        "endpoint": "https://hooks.slack.example/services/X",
        "headers": {"Content-Type": "application/json"},
    },
    "batchSize": 1,
    "owner": {"type": "team", "name": "DataEngineering"},
}


def test_takes_a_definition_of_openmetadatas_page() -> None:
    assert read(WebhookDefinition, PAGE).name == "SlackTableNotifications"


@pytest.mark.parametrize("name", ["a", "A_b-9", "x" * 128])
def test_takes_names(name: str) -> None:
    assert read(WebhookDefinition, {**PAGE, "name": name}).name == name


@pytest.mark.parametrize(
    "name", ["", "a.b", "-a", "a b", "ä", "x" * 129, "0190d3a0-0000-7000-8000-000000000001", "a\n"]
)
def test_refuses_names_that_a_path_or_a_full_name_could_not_tell_apart(name: str) -> None:
    with pytest.raises(Refused):
        read(WebhookDefinition, {**PAGE, "name": name})


@pytest.mark.parametrize("header", [{"Content-Type": "text/plain"}, {"content-type": ""}, {"Host": "a"}])
def test_refuses_headers_that_would_not_be_sent_as_said(header: dict[str, str]) -> None:
    with pytest.raises(Refused):
        read(WebhookDefinition, {**PAGE, "webhookConfig": {"endpoint": "https://a.example/", "headers": header}})
