"""How settings are read, refused and printed. The settings themselves: processes.py."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import ConfigurationError

PREFIX = "HOOKBERG_"
CONFIG = "HOOKBERG_CONFIG"
NOT_SETTINGS = (CONFIG, "HOOKBERG_URL", "HOOKBERG_KEY", "HOOKBERG_CACHE_DIR")
"""Names with our prefix that are no settings of a process: the client's, the cache's, the file's own."""
_SECRET = re.compile("secret|password|token|key|credential", re.IGNORECASE)
PREFIXES_NOT_SETTINGS = ("HOOKBERG_SECRET_", "HOOKBERG_TEST_")
"""Secrets that a source names by `fromEnv`, and the test suite's switches."""


class Settings(BaseSettings):
    """The base: frozen, unknown keys refused, only what `load` gives it (no hidden sources)."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 pydantic-settings' signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but what the constructor is given: `load` merges file and environment and names both."""
        return (init_settings,)


S = TypeVar("S", bound=Settings)


def load(cls: type[S], known: frozenset[str], environ: Mapping[str, str] | None = None) -> S:
    """Make one process' settings; raise `ConfigurationError` naming each unknown or unusable one.

    `known` holds the names of all processes' settings, so that one file or environment can serve them all.
    """
    environ = os.environ if environ is None else environ
    given: dict[str, Any] = {}
    origin: dict[str, str] = {}
    if path := environ.get(CONFIG):
        for name, value in _file(Path(path)).items():
            given[name], origin[name] = value, f"{name} in {path}"
    for name, value in environ.items():
        if name.startswith(PREFIX) and name not in NOT_SETTINGS and not name.startswith(PREFIXES_NOT_SETTINGS):
            key = name[len(PREFIX) :].lower()
            given[key], origin[key] = value, name
    if unknown := sorted(origin[key] for key in given if key not in known):
        raise ConfigurationError(f"unknown settings: {', '.join(unknown)}; `hookberg settings` lists what there is")
    try:
        return cls(**{key: value for key, value in given.items() if key in cls.model_fields})
    except ValidationError as exc:
        faults = "; ".join(
            f"{origin.get(str(f['loc'][0]), PREFIX + str(f['loc'][0]).upper())}: {f['msg']}"
            for f in exc.errors(include_url=False, include_input=False)
        )
        raise ConfigurationError(f"settings of {cls.__name__}: {faults}") from None


def redacted(settings: Settings) -> dict[str, Any]:
    """Return the settings as they may be printed: secrets as ***, passwords inside URLs too."""
    return {name: _shown(getattr(settings, name)) for name in type(settings).model_fields}


def _shown(value: Any) -> Any:  # noqa: ANN401 any setting
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, dict):
        return {name: "***" if _SECRET.search(name) else item for name, item in value.items()}
    return _hide_password(value) if isinstance(value, str) else value


def _hide_password(value: str) -> str:
    scheme, mark, rest = value.partition("://")
    user, at, host = rest.rpartition("@")
    if not (mark and at and ":" in user):
        return value
    return f"{scheme}://{user.partition(':')[0]}:***@{host}"


def _file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{CONFIG}={path}: {exc}") from exc
