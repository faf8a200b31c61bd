"""Outgoing HTTP to addresses that users name, behind a guard against server-side request forgery.

What may be called: guard.py; names and their addresses: names.py; a small document: get.py; a message: post.py over the
connections of pool.py. Implements ports.Egress. The attacks: https://cheatsheetseries.owasp.org
"""

from schemas.backing.egress.calls import HttpEgress
from schemas.backing.egress.guard import Guard, shown
from schemas.backing.egress.pool import Keeping
from schemas.backing.egress.post import Posted

__all__ = ["Guard", "HttpEgress", "Keeping", "Posted", "shown"]
