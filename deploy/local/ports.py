"""TCP ports of this machine: is one taken, give me a free one.

Lives here: bind probes on the loopback address. May not live here: which process gets which port (plan.py).
Linux `SO_REUSEADDR`: https://man7.org/linux/man-pages/man7/socket.7.html
"""

import socket
from collections.abc import Collection

from deploy.local.errors import LocalError
from schemas.reasons import Reason

LOOPBACK = "127.0.0.1"
_TRIES = 50
_LAST_PORT = 65_535


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether a listener could be opened on `host:port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(avoid: Collection[int] = ()) -> int:
    """Return a port that is free now and not in `avoid`. Somebody else may take it before its use."""
    for _ in range(_TRIES):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in avoid:
            return port
    raise LocalError(Reason.PORT_TAKEN, "no free TCP port on the loopback address; end some programs that listen")


def keep_or_choose(wanted: int | None, avoid: Collection[int] = ()) -> int:
    """Return `wanted` when it is free, else another free port."""
    if wanted and wanted not in avoid and is_free(wanted):
        return wanted
    return free_port(avoid)


def require_free(port: int, option: str) -> None:
    """Raise LocalError `port_taken` when `port` is out of range or in use; `option` names how to choose another."""
    if not 1 <= port <= _LAST_PORT:
        raise LocalError(Reason.PORT_TAKEN, f"{port} is not a TCP port: choose 1 to 65535 with {option}")
    if not is_free(port):
        raise LocalError(
            Reason.PORT_TAKEN,
            f"port {port} on {LOOPBACK} is in use by another program. End that program or choose another with {option}",
        )
