"""The lease of outbound webhooks: one process takes events in and sends them, a second one waits.

Lives here: taking, keeping and giving back the lease, and the check that fences every write of its holder. A later
holder's epoch is greater, so a process that was frozen past its lease writes nothing more.
https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html (fencing)
"""

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas.backing.registry.objects.repository import Rim
from schemas.backing.registry.outbound_tables import LEASES
from schemas.definitions.notification import Lease
from schemas.errors import HookbergError

NAME = "notify"


class LeaseLost(HookbergError):
    """Another process holds the lease; the one that is told so must send nothing more and end."""


def acquire(rim: Rim, owner: str, ttl_s: float) -> Lease | None:
    """Take the lease when it is free, has run out or was this owner's; None while another holds it."""
    now = rim.now_ms()
    make = sqlite.insert if rim.database.sqlite else postgresql.insert
    first = make(LEASES).values(name=NAME, owner="", epoch=0, until_ms=0)
    with rim.database.write() as connection:
        connection.execute(first.on_conflict_do_nothing(index_elements=["name"]))
        row = connection.execute(select(LEASES).where(LEASES.c.name == NAME).with_for_update()).one()
        if row.owner != owner and row.until_ms > now:
            return None
        lease = Lease(NAME, owner, row.epoch + 1)
        values = {"owner": owner, "epoch": lease.epoch, "until_ms": now + int(ttl_s * 1000)}
        connection.execute(update(LEASES).where(LEASES.c.name == NAME).values(**values))
    return lease


def renew(rim: Rim, lease: Lease, ttl_s: float) -> bool:
    """Keep the lease for another `ttl_s`; False when somebody else has it."""
    return _until(rim, lease, rim.now_ms() + int(ttl_s * 1000))


def release(rim: Rim, lease: Lease) -> None:
    """Give the lease back; nothing happens when it is another's by now."""
    _until(rim, lease, 0)


def fence(connection: Connection, lease: Lease) -> None:
    """Raise `LeaseLost` unless the lease is this holder's, and keep it so until the transaction ends."""
    query = select(LEASES.c.epoch).where(
        LEASES.c.name == lease.name, LEASES.c.owner == lease.owner, LEASES.c.epoch == lease.epoch
    )
    if connection.execute(query.with_for_update()).first() is None:
        raise LeaseLost(f"another process delivers webhooks: the lease {lease.name} is no longer {lease.owner}'s")


def _until(rim: Rim, lease: Lease, until_ms: int) -> bool:
    mine = (LEASES.c.name == lease.name, LEASES.c.owner == lease.owner, LEASES.c.epoch == lease.epoch)
    with rim.database.write() as connection:
        return connection.execute(update(LEASES).where(*mine).values(until_ms=until_ms)).rowcount == 1
