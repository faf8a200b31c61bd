"""A REST catalog whose every request has a time limit, the first one and those for tokens included.

Lives here: `BoundedRest`. May not live here: what an error means for a commit (sinks/table/commit.py).
pyiceberg's sessions have no limit; requests' own bounds the wait for each piece of an answer, not the whole.
https://requests.readthedocs.io/en/latest/user/advanced/#timeouts
"""

from functools import partial
from typing import Any

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.rest.auth import AuthManager
from requests import Session

CONNECT_TIMEOUT_S = 5.0


class BoundedRest(RestCatalog):
    """pyiceberg's REST catalog with `timeout_s` seconds for each answer, and 5 at most for a connection.

    Past it requests.Timeout is raised: whether a commit has landed is unknown then (rule 20).
    """

    def __init__(self, name: str, *, timeout_s: float, **properties: Any) -> None:  # noqa: ANN401 as pyiceberg has it
        self._timeout = (min(CONNECT_TIMEOUT_S, timeout_s), timeout_s)
        super().__init__(name, **properties)

    def _create_session(self) -> Session:
        """Return a session with the limit: at the session, since some servers get an HTTP adapter of their own."""
        return self._limited(super()._create_session())

    def _create_legacy_oauth2_auth_manager(self, session: Session) -> AuthManager:
        """Ask for the first token, which happens before there is a session to be had, within the limit."""
        return super()._create_legacy_oauth2_auth_manager(self._limited(session))

    def _limited(self, session: Session) -> Session:
        """Set the limit; and name the authority with each request, or REQUESTS_CA_BUNDLE would be taken before it."""
        given: dict[str, Any] = {} if session.verify is True else {"verify": session.verify}
        session.request = partial(session.request, timeout=self._timeout, **given)  # type: ignore[method-assign]
        return session
