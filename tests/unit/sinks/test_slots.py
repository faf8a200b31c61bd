"""One table's trouble never stops another: slots are few, and cannot be held for ever."""

import threading

import pytest

from sinks.slots import Slots
from tests.fakes.clock import ManualClock
from tests.house.polling import wait_until


class Hanging:
    """Threads that hold a slot until told."""

    def __init__(self, slots: Slots) -> None:
        self.slots, self.over, self.inside = slots, threading.Event(), 0
        self._threads: list[threading.Thread] = []

    def hang(self) -> None:
        def hold() -> None:
            with self.slots.take(lambda: None):
                self.inside += 1
                self.over.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        self._threads.append(thread)

    def end(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(20)


def test_hanging_tables_hold_their_slots_for_a_while_only() -> None:
    clock = ManualClock()
    slots = Slots(4, patience_s=10, most=6, monotonic=clock.monotonic)
    tables = Hanging(slots)
    try:
        for _ in range(5):
            tables.hang()
        wait_until(lambda: tables.inside == 4)
        clock.advance(11)
        wait_until(lambda: tables.inside == 5)  # the fifth goes on, though four hang
        with slots.take(lambda: None):  # and so does everybody else
            pass
        tables.hang()
        wait_until(lambda: tables.inside == 6)
        clock.advance(11)

        class Full(Exception):
            pass

        def stop() -> None:
            raise Full

        with pytest.raises(Full), slots.take(stop):  # memory has a bound; whoever waits may still be stopped
            pass
    finally:
        tables.end()
