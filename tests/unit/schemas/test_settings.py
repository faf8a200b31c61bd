"""Settings: typed, documented, unknown ones refused, secrets never printed."""

from pathlib import Path

import pytest

from schemas import settings
from schemas.errors import ConfigurationError

KAFKA = {"HOOKBERG_KAFKA_BOOTSTRAP_SERVERS": "a:1"}
REGISTRY = {"HOOKBERG_REGISTRY_URL": "postgresql+psycopg://hookberg:p4ss@db/registry"}


def load_streams(environ: dict[str, str]) -> settings.StreamsSettings:
    """Load one process' settings from an environment."""
    return settings.load(settings.StreamsSettings, settings.KNOWN, {**KAFKA, **REGISTRY, **environ})


def test_every_setting_has_a_meaning_and_one_default() -> None:
    rows = settings.reference()
    assert [name for name, _, _, meaning in rows if not meaning] == []
    for name in settings.KNOWN:
        defaults = {str(cls.model_fields[name].default) for cls in settings.ALL if name in cls.model_fields}
        assert len(defaults) == 1, name


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="HOOKBERG_COMIT_INTERVAL_S"):
        load_streams({"HOOKBERG_COMIT_INTERVAL_S": "1"})


def test_another_processes_setting_is_no_stranger() -> None:
    assert load_streams({"HOOKBERG_INGEST_PORT": "1"}).commit_interval_s == 0.25


def test_an_unusable_value_is_named_with_its_variable() -> None:
    with pytest.raises(ConfigurationError, match=r"HOOKBERG_COMMIT_INTERVAL_S: .*less than or equal to 5"):
        load_streams({"HOOKBERG_COMMIT_INTERVAL_S": "60"})
    with pytest.raises(ConfigurationError, match="HOOKBERG_COMMIT_INTERVAL_S") as caught:
        load_streams({"HOOKBERG_COMMIT_INTERVAL_S": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_secrets_that_sources_name_are_no_settings() -> None:
    assert load_streams({"HOOKBERG_SECRET_GITHUB": "x", "HOOKBERG_KEY": "hbk_x"}).log_level == "info"


def test_a_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "hookberg.toml"
    file.write_text('log_level = "debug"\ncommit_interval_s = 1.5\n')
    loaded = load_streams({"HOOKBERG_CONFIG": str(file), "HOOKBERG_LOG_LEVEL": "warning"})
    assert (loaded.log_level, loaded.commit_interval_s) == ("warning", 1.5)


def test_an_unknown_key_of_the_file_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "hookberg.toml"
    file.write_text("commit_interval = 1\n")
    with pytest.raises(ConfigurationError, match=r"commit_interval in .*hookberg\.toml"):
        load_streams({"HOOKBERG_CONFIG": str(file)})


def test_catalog_properties_are_json_in_the_environment() -> None:
    given = {**KAFKA, **REGISTRY, "HOOKBERG_CATALOG_PROPERTIES": '{"s3.endpoint": "http://s3:7070"}'}
    loaded = settings.load(settings.SinksSettings, settings.KNOWN, given)
    assert loaded.catalog_properties == {"s3.endpoint": "http://s3:7070"}


def test_secrets_are_never_printed() -> None:
    given = {
        **KAFKA,
        **REGISTRY,
        "HOOKBERG_VAULT_KEY": "vault-text",
        "HOOKBERG_CATALOG_URI": "postgresql+psycopg://u:catalog-text@db/c",
        "HOOKBERG_CATALOG_PROPERTIES": '{"s3.secret-access-key": "property-text", "s3.region": "eu"}',
    }
    loaded = settings.load(settings.SinksSettings, settings.KNOWN, given)
    printed = f"{settings.redacted(loaded)} {loaded!r} {loaded}"
    assert [text for text in ("p4ss", "vault-text", "catalog-text", "property-text") if text in printed] == []
    assert settings.redacted(loaded)["catalog_properties"]["s3.region"] == "eu"


@pytest.mark.parametrize(
    "value",
    ["hooks.example", "ftp://hooks.example", "https://", "https://u:p4ss@hooks.example", "https://hooks.example/?a=1",
     "https://hooks.example/#x", "https://hooks example", "https://hooks.example:99999", ""],
)  # fmt: skip
def test_a_public_address_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match=r"HOOKBERG_PUBLIC_INGEST_URL: .*as https://") as caught:
        load_ingress(value)
    assert "p4ss" not in str(caught.value)


@pytest.mark.parametrize("value", ["https://hooks.example/", "https://hooks.example", "http://10.0.0.1:8081"])
def test_a_public_address_has_no_slash_at_its_end(value: str) -> None:
    assert load_ingress(value).public_ingest_url == value.rstrip("/")
    assert load_ingress("https://a.example/hooks/").public_ingest_url == "https://a.example/hooks"


def load_ingress(public: str) -> settings.IngressSettings:
    """Load the fast door's settings with a public address."""
    environ = {**KAFKA, **REGISTRY, "HOOKBERG_PUBLIC_INGEST_URL": public}
    return settings.load(settings.IngressSettings, settings.KNOWN, environ)
