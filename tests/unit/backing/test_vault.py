"""The vault: what it seals opens only in the same row with the same key."""

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.backing.registry import Vault
from schemas.errors import ConfigurationError
from schemas.settings.processes import RegistrySettings

KEY = bytes(range(32))
TEXT = base64.urlsafe_b64encode(KEY).decode()


def settings(**given: object) -> RegistrySettings:
    return RegistrySettings(registry_url=SecretStr("sqlite:///r.db"), **given)  # type: ignore[arg-type]


def test_a_secret_opens_only_in_its_own_row() -> None:
    vault = Vault(KEY)
    sealed = vault.encrypt(b"secret", "row-1")
    assert vault.decrypt(sealed, "row-1") == b"secret"
    assert sealed != vault.encrypt(b"secret", "row-1")
    with pytest.raises(ConfigurationError, match="vault key"):
        vault.decrypt(sealed, "row-2")
    with pytest.raises(ConfigurationError, match="another release"):
        vault.decrypt(b"\x02" + sealed[1:], "row-1")


def test_the_key_comes_from_a_setting_or_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    file.write_text(TEXT + "\n")
    given = Vault.from_settings(settings(vault_key=SecretStr(TEXT)))
    read = Vault.from_settings(settings(vault_key_file=file))
    assert read.decrypt(given.encrypt(b"s", "r"), "r") == b"s"
    assert repr(given) == "Vault(***)"


@pytest.mark.parametrize("bad", ["", "c2hvcnQ=", "not base64!", TEXT[:-6]])
def test_a_bad_key_says_how_to_make_one(bad: str) -> None:
    with pytest.raises(ConfigurationError, match="base64"):
        Vault.from_settings(settings(vault_key=SecretStr(bad)))


def test_no_key_or_no_file_is_a_configuration_error(tmp_path: Path) -> None:
    for given in (settings(), settings(vault_key_file=tmp_path / "none")):
        with pytest.raises(ConfigurationError, match="HOOKBERG_VAULT_KEY"):
            Vault.from_settings(given)
