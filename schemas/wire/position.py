"""A position: where an item stands in its raw topic, unique for ever and printed everywhere (spec section 1)."""

from typing import Any, NamedTuple


class Position(NamedTuple):
    """(topic id, partition, offset, item); `topic_id` is Kafka's, in its 22-character text form.

    A recreated topic has another id, so positions never repeat (rule 19).
    A tuple and not a dataclass: millions are made.
    """

    topic_id: str
    partition: int
    offset: int
    item: int

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON and Avro form, camelCase."""
        return {"topicId": self.topic_id, "partition": self.partition, "offset": self.offset, "item": self.item}

    @classmethod
    def from_wire(cls, value: dict[str, Any]) -> "Position":
        """Read the form that `to_wire` makes; KeyError on another one."""
        return cls(value["topicId"], value["partition"], value["offset"], value["item"])

    def __str__(self) -> str:
        """Return `topic/partition/offset/item`, as logs and receipts print it."""
        return f"{self.topic_id}/{self.partition}/{self.offset}/{self.item}"
