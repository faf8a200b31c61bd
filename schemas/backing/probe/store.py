"""Probes of the registry and of the lake: the version of the one, reading and writing of the other.

Lives here: asking and judging. The warehouse's probe writes one object of its own and deletes it.
"""

import datetime as dt
from collections.abc import Callable, Sequence

from pyiceberg.catalog import Catalog
from pyiceberg.io import load_file_io

from schemas.backing.lake import conditional, open_catalog, properties_of
from schemas.backing.probe import Finding, fail, ok, warn
from schemas.backing.registry import Registry, Vault
from schemas.definitions.view import Snapshot
from schemas.errors import ConfigurationError
from schemas.ports import Clock
from schemas.settings.processes import LakeSettings, RegistrySettings

MEND_REGISTRY = "start the database, and check HOOKBERG_REGISTRY_URL (user, password, name, TLS)"
MEND_CATALOG = "check HOOKBERG_CATALOG_URI and HOOKBERG_CATALOG_PROPERTIES (schemas/backing/lake/README.md)"
MEND_WAREHOUSE = "let HOOKBERG_CATALOG_WAREHOUSE be written, read and deleted from by this user, or these keys"
_CATALOG_S = 5.0


def registry(given: RegistrySettings, clock: Clock, then: Callable[[Snapshot], Sequence[Finding]]) -> list[Finding]:
    """Open the registry: its version, its secrets with our vault key, what it knows; `then` goes on with that."""
    try:
        vault = Vault.from_settings(given)
    except ConfigurationError as error:
        return [fail("vault key", str(error), "give HOOKBERG_VAULT_KEY_FILE the file that this registry was made with")]
    opened = Registry(given.registry_url.get_secret_value(), vault=vault, clock=clock, groups=given.groups)
    try:
        try:
            opened.check_version()
        except ConfigurationError as error:
            return [fail("registry", str(error), "run `hookberg migrate` with this release, or use the newer release")]
        revision = opened.revision()
        try:
            snapshot = opened.load()
        except ConfigurationError as error:
            mend = "give HOOKBERG_VAULT_KEY_FILE the file that this registry was made with"
            return [ok("registry", f"at revision {revision}"), fail("vault key", str(error), mend)]
    finally:
        opened.close()
    known = f"{len(snapshot.tenants)} tenants, {len(snapshot.sources)} sources, {len(snapshot.streams)} streams"
    secrets = sum(len(source.secrets) for source in snapshot.sources.values())
    return [
        ok("registry", f"revision {revision}: {known}"),
        ok("vault key", f"opens all secrets ({secrets} of sources)"),
        *then(snapshot),
    ]


def catalog(given: LakeSettings) -> list[Finding]:
    """Open the catalog and list its namespaces."""
    opened: Catalog = open_catalog(given, timeout_s=_CATALOG_S)
    try:
        count = len(opened.list_namespaces())
    finally:
        close = getattr(opened, "close", None)
        if close is not None:
            close()
    return [ok("catalog", f"{given.catalog_type} catalog {given.catalog_name} has {count} namespaces")]


def warehouse(given: LakeSettings, word: str, now: dt.datetime) -> list[Finding]:
    """Write an object into the warehouse, read it back, delete it; ask an S3 store for conditional writes."""
    home = (given.catalog_warehouse or "").rstrip("/")
    if not home:
        return [
            warn("warehouse", "the catalog alone knows where tables are", "nothing, if its server hands out places")
        ]
    place = f"{home}/.hookberg-doctor-{word}"
    io = load_file_io(properties_of(given), place)
    text = f"doctor {word}".encode()
    with io.new_output(place).create() as stream:
        stream.write(text)
    try:
        with io.new_input(place).open() as stream:
            same = stream.read() == text
    finally:
        io.delete(place)
    if not same:
        return [fail("warehouse", f"{home}: what was written is not what is read", "look at the store")]
    found = [ok("warehouse", f"{home}: written, read, deleted")]
    if not home.startswith("s3://"):
        return found
    kept = conditional.probe(given, now, word)
    if kept.kept is False:
        mend = "nothing in Hookberg relies on it; build no locks on this bucket"
        return [*found, warn("conditional writes", kept.why, mend)]
    return [*found, ok("conditional writes", kept.why)]
