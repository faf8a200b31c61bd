"""The test stack in one place: what a test may ask for.

Lives here: names only. Fixtures of the same things are in fixtures.py.
"""

from tests.house.broker import shared_broker as kafka
from tests.house.polling import free_port, wait_until
from tests.house.postgres import Postgres, PostgresMissingError
from tests.house.postgres import throw_away_postgres as postgres
from tests.house.server import UpServer
from tests.house.server import run_up as up_server

__all__ = [
    "Postgres",
    "PostgresMissingError",
    "UpServer",
    "free_port",
    "kafka",
    "postgres",
    "up_server",
    "wait_until",
]
