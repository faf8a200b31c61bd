"""The configuration of a group's transactional producer.

Lives here: values only. Not here: what is done with it (transaction.py).
https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from collections.abc import Mapping
from typing import Any

_QUEUE_MESSAGES = 1_000_000
_BATCH_BYTES = 1_000_000
_MESSAGE_BYTES = 128 << 20


def producer_config(kafka: Mapping[str, Any], group: str, timeout_s: float) -> dict[str, Any]:
    """Return the configuration of a group's transactional producer; the group's name is what fences (rule 6)."""
    timeout_ms = int(timeout_s * 1000)
    return {
        **kafka,
        "transactional.id": f"hookberg-{group}",
        "transaction.timeout.ms": timeout_ms,
        "message.timeout.ms": timeout_ms,
        "acks": "all",
        "linger.ms": 5,
        "compression.type": "lz4",
        "batch.size": _BATCH_BYTES,
        "message.max.bytes": _MESSAGE_BYTES,
        "queue.buffering.max.messages": _QUEUE_MESSAGES,
    }
