"""Is a process ready: `GET /readyz` over a plain asyncio stream.

Lives here: one probe. May not live here: what makes a process ready (schemas/backing/health.py).
"""

import asyncio
from contextlib import suppress

PROBE_TIMEOUT_S = 2.0


async def http_ready(
    port: int, host: str = "127.0.0.1", path: str = "/readyz", timeout_s: float = PROBE_TIMEOUT_S
) -> bool:
    """Tell whether `GET http://host:port/path` answers 200 within the timeout; never raises for a network error."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
                status = await reader.readline()
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return False
    return status.split(b" ")[1:2] == [b"200"]
