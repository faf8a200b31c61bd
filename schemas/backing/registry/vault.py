"""Secrets at rest: AES-256-GCM with a random nonce, bound to the row they stand in.

Lives here: the key and the cipher. Not here: which columns are encrypted (objects/source_secrets.py, idempotency.py).
https://cryptography.io/en/latest/hazmat/primitives/aead/
"""

import base64
import binascii
import os
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas.backing.registry.record import RandomBytes
from schemas.errors import ConfigurationError
from schemas.settings.processes import RegistrySettings

_VERSION = b"\x01"
_NONCE = 12
_KEY = 32


class Vault:
    """Encrypts and decrypts with one key; `key` is 32 bytes. Its repr shows nothing of it."""

    __slots__ = ("_cipher", "_key", "_random_bytes")

    def __init__(self, key: bytes, *, random_bytes: RandomBytes = os.urandom) -> None:
        if len(key) != _KEY:
            raise ConfigurationError(f"the vault key must be {_KEY} bytes, this one has {len(key)}: {_HOW}")
        self._cipher = AESGCM(key)
        self._key = key
        self._random_bytes = random_bytes

    @classmethod
    def from_settings(cls, settings: RegistrySettings) -> Self:
        """Make the vault of a process from `vault_key` or `vault_key_file`; raises `ConfigurationError`."""
        if settings.vault_key is not None:
            return cls(_decoded(settings.vault_key.get_secret_value(), "HOOKBERG_VAULT_KEY"))
        if settings.vault_key_file is None:
            raise ConfigurationError(f"no vault key: set HOOKBERG_VAULT_KEY or HOOKBERG_VAULT_KEY_FILE; {_HOW}")
        return cls(_decoded(_read(settings.vault_key_file), f"HOOKBERG_VAULT_KEY_FILE={settings.vault_key_file}"))

    def encrypt(self, value: bytes, aad: str) -> bytes:
        """Return version, nonce and ciphertext; `aad` (the row's id) must be given again to decrypt."""
        nonce = self._random_bytes(_NONCE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, value, aad.encode())

    def decrypt(self, value: bytes, aad: str) -> bytes:
        """Return what was encrypted for this row; raise `ConfigurationError` when the key does not open it."""
        if value[:1] != _VERSION:
            raise ConfigurationError("a secret in the registry was written by another release: upgrade this process")
        try:
            return self._cipher.decrypt(value[1 : 1 + _NONCE], value[1 + _NONCE :], aad.encode())
        except InvalidTag:
            raise ConfigurationError(
                "the vault key does not open the registry's secrets: give HOOKBERG_VAULT_KEY the key they were "
                "written with"
            ) from None

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes for another use of the installation's key; neither tells the other (RFC 5869)."""
        return HKDF(hashes.SHA256(), _KEY, salt=None, info=f"hookberg {purpose}".encode()).derive(self._key)

    def __repr__(self) -> str:
        """Return a text without the key."""
        return "Vault(***)"


_HOW = "make one with `python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'`"


def _decoded(text: str, origin: str) -> bytes:
    stripped = text.strip().rstrip("=")
    try:
        return base64.b64decode(stripped + "=" * (-len(stripped) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(f"{origin} is not URL-safe base64: {_HOW}") from None


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(f"HOOKBERG_VAULT_KEY_FILE={path}: {type(exc).__name__}; {_HOW}") from None
