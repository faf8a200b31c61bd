"""Senders of "table advanced" for tests of the writer: one that writes lines to a file, one whose Kafka is away."""

from pathlib import Path

from schemas.wire import table as wire
from sinks.table.advanced import Book
from tests.unit.sinks.ground import GATE


class ToldFile:
    """Takes the place of sinks.advances.KafkaAdvances: sends at once, in the writer's thread, through the gate."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.books: list[Book] = []
        self.away = False

    def open(self, book: Book) -> None:
        self.books.append(book)

    def close(self, book: Book) -> None:
        self.books.remove(book)

    def wake(self, book: Book) -> None:
        if self.away:
            return
        for number, record in book.take():
            GATE.call("tell")
            with self.path.open("ab") as lines:
                lines.write(wire.encode(record) + b"\n")
            GATE.done("told")
            book.sent(number)

    def told(self) -> list[wire.Advanced]:
        """Return every record that was sent, in order."""
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        return [wire.decode(line) for line in lines]

    def missing(self, last: int) -> set[int]:
        """Return the sequence numbers up to `last` that nobody was told of."""
        return set(range(1, last + 1)) - {one.sequence_number for one in self.told()}
