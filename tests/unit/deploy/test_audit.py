"""Where `hookberg audit` finds Kafka, registry and catalog: --data-dir, then HOOKBERG_*, then the nearest folder."""

import json
import os
from pathlib import Path

import pytest

from deploy.cli.audit import find_settings
from deploy.cli.client import ServerError
from schemas.errors import ConfigurationError

ENVIRON = {"HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": "broker:9092", "HOOKBERG_REGISTRY_URL": "sqlite:///elsewhere.db"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the data folder of a start that runs, in the current folder."""
    made = tmp_path / ".hookberg"
    made.mkdir()
    document = {"format": 1, "pid": os.getpid(), "kafkaBootstrapServers": "127.0.0.1:19092"}
    (made / "up.json").write_text(json.dumps(document))
    monkeypatch.chdir(tmp_path)
    return made


def test_a_named_folder_wins_over_the_environment(folder: Path) -> None:
    given = find_settings(folder, ENVIRON)
    assert given.kafka_bootstrap_servers == "127.0.0.1:19092"
    assert given.registry_url.get_secret_value() == f"sqlite:///{folder}/registry.db"
    assert given.catalog_warehouse == f"file://{folder}/warehouse"


def test_settings_of_a_deployment_win_over_a_folder_nearby(folder: Path) -> None:
    assert folder.is_dir()
    assert find_settings(None, ENVIRON).kafka_bootstrap_servers == "broker:9092"


def test_the_nearest_folder_is_taken_without_settings(folder: Path) -> None:
    assert folder.is_dir()
    assert find_settings(None, {}).kafka_bootstrap_servers == "127.0.0.1:19092"


def test_a_folder_on_which_nothing_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="hookberg up"):
        find_settings(tmp_path, {})


def test_nothing_at_all_names_the_missing_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="HOOKBERG_KAFKA_BOOTSTRAP_SERVERS"):
        find_settings(None, {})
