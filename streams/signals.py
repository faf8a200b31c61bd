"""How both apps are told to end."""

import asyncio
import contextlib
import signal


def on_signals(stop: asyncio.Event) -> None:
    """Have SIGTERM and SIGINT set `stop`, where the loop can do so."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(RuntimeError, ValueError):
            loop.add_signal_handler(number, stop.set)
