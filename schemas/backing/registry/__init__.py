"""The registry: definitions, versions, secrets, jobs and the log of changes, in SQLite or PostgreSQL.

Lives here: the one class that processes make, and the shapes that callers use. Synchronous and thread-safe: async code
calls it through a thread. All reads and writes raise `Refused(registry_away)` while the database cannot be reached.
See schemas/backing/README.md.
"""

import os

from schemas.backing.registry import changes as _changes
from schemas.backing.registry import schema
from schemas.backing.registry.alerts import Alerts
from schemas.backing.registry.changes import Changes
from schemas.backing.registry.database import Database
from schemas.backing.registry.idempotency import Idempotency, SavedAnswer
from schemas.backing.registry.jobs import Jobs
from schemas.backing.registry.objects.contacts import ContactRecord, Contacts
from schemas.backing.registry.objects.entities import Entities
from schemas.backing.registry.objects.keys import Keys
from schemas.backing.registry.objects.minutes import Minutes
from schemas.backing.registry.objects.posted_events import PostedEvents
from schemas.backing.registry.objects.refusals import Refusals
from schemas.backing.registry.objects.removed_secrets import RemovedSecret, RemovedSecrets
from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.objects.retired import Remains, Retired
from schemas.backing.registry.objects.roles import RoleRecord, Roles
from schemas.backing.registry.objects.source_secrets import Resolver, from_environment
from schemas.backing.registry.objects.sources import Sources
from schemas.backing.registry.objects.states import States, StreamState, TableUpkeep
from schemas.backing.registry.objects.streams import Streams
from schemas.backing.registry.objects.subjects import SchemaVersion, Subjects
from schemas.backing.registry.objects.tallies import Tallies, Tally, TallyFlusher
from schemas.backing.registry.objects.tenants import Tenants
from schemas.backing.registry.objects.topics import Topics
from schemas.backing.registry.objects.webhook_record import Include, WebhookRecord
from schemas.backing.registry.objects.webhooks import Webhooks
from schemas.backing.registry.outbound import LeaseLost, Outbound
from schemas.backing.registry.record import (
    SYSTEM,
    Actor,
    Page,
    PageRequest,
    RandomBytes,
    Record,
    SecretRecord,
    SourceRecord,
    StreamRecord,
    TopicRecord,
    UrlRecord,
)
from schemas.backing.registry.snapshot import Loader
from schemas.backing.registry.vault import Vault
from schemas.backing.registry.view import CachedView
from schemas.definitions.view import Snapshot
from schemas.ports import Clock

__all__ = [
    "SYSTEM",
    "Actor",
    "CachedView",
    "ContactRecord",
    "Include",
    "LeaseLost",
    "Outbound",
    "Page",
    "PageRequest",
    "Record",
    "Registry",
    "Remains",
    "RemovedSecret",
    "Retired",
    "RoleRecord",
    "SavedAnswer",
    "SchemaVersion",
    "SecretRecord",
    "SourceRecord",
    "StreamRecord",
    "StreamState",
    "TableUpkeep",
    "Tally",
    "TallyFlusher",
    "TopicRecord",
    "UrlRecord",
    "Vault",
    "WebhookRecord",
]


class Registry:
    """The registry of one deployment: one repository an object; making it opens no connection."""

    def __init__(
        self,
        url: str,
        *,
        vault: Vault,
        clock: Clock,
        random_bytes: RandomBytes = os.urandom,
        groups: int = 1,
        resolver: Resolver = from_environment,
    ) -> None:
        self._database = Database(url)
        self._loader = Loader(vault)
        self.changes = Changes(self._database, clock)
        rim = Rim(self._database, self.changes, clock, random_bytes)
        self.tenants = Tenants(rim)
        self.retired = Retired(rim)
        self.keys = Keys(rim)
        self.sources = Sources(rim, vault, resolver, groups)
        self.streams = Streams(rim)
        self.subjects = Subjects(rim)
        self.topics = Topics(rim, groups)
        self.roles = Roles(rim)
        self.webhooks = Webhooks(rim, vault)
        self.contacts = Contacts(rim)
        self.entities = Entities(rim)
        self.posted_events = PostedEvents(rim)
        self.jobs = Jobs(rim)
        self.alerts = Alerts(rim)
        self.minutes = Minutes(rim)
        self.tallies = Tallies(rim)
        self.refusals = Refusals(rim)
        self.removed_secrets = RemovedSecrets(rim, vault)
        self.states = States(rim)
        self.outbound = Outbound(rim, self.webhooks.set_status)
        self.idempotency = Idempotency(rim, vault)

    def migrate(self) -> None:
        """Bring the database to this release's version (only `hookberg migrate` and `up` call it)."""
        schema.migrate(self._database)

    def check_version(self) -> None:
        """Raise `ConfigurationError` when the database is older or newer than this release."""
        schema.check(self._database)

    def revision(self) -> int:
        """Return the number of the newest change; 0 before the first."""
        with self._database.read() as connection:
            return _changes.revision(connection)

    def load(self) -> Snapshot:
        """Return everything the data plane needs, as of one moment, secrets decrypted; raises `ConfigurationError`."""
        with self._database.read(snapshot=True) as connection:
            return self._loader.load(connection)

    def close(self) -> None:
        """Close the database's connections."""
        self._database.close()
