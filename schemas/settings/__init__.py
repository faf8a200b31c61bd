"""Settings: one frozen class a process, read from HOOKBERG_* in the environment or one TOML file.

Typed, documented, unit in the name; unknown names are refused; `redacted` prints them at start.
The TOML file is named by HOOKBERG_CONFIG; its keys are the lower-case names without the prefix; the environment wins.
"""

from schemas.settings.base import PREFIX, load, redacted
from schemas.settings.processes import (
    ALL,
    KNOWN,
    ApiSettings,
    IngressSettings,
    KafkaSettings,
    LakeSettings,
    MigrateSettings,
    NotifySettings,
    RegistrySettings,
    SinksSettings,
    StreamsSettings,
    reference,
)

__all__ = [
    "ALL",
    "KNOWN",
    "PREFIX",
    "ApiSettings",
    "IngressSettings",
    "KafkaSettings",
    "LakeSettings",
    "MigrateSettings",
    "NotifySettings",
    "RegistrySettings",
    "SinksSettings",
    "StreamsSettings",
    "load",
    "redacted",
    "reference",
]
