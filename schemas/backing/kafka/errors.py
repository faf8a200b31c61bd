"""What an error of Kafka's admin calls means for the caller: try again, or never."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from schemas.errors import Refused, Transient
from schemas.reasons import Reason

_PASSING = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001 librdkafka's own codes begin with _
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    }
)
"""Errors that Kafka's protocol calls retriable and the client does not: what a topic's first moments may answer."""
NOT_THERE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001 the client's own
"""What asking about a topic that does not exist is answered."""


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn Kafka's exceptions into `Transient` (may pass) or `Refused(broker_refused)`."""
    try:
        yield
    except KafkaException as exc:
        error = exc.args[0]
        text = f"{doing}: {error.str()}" if isinstance(error, KafkaError) else f"{doing}: {exc}"
        if isinstance(error, KafkaError) and (error.retriable() or error.code() in _PASSING):
            raise Transient(text) from exc
        raise Refused(Reason.BROKER_REFUSED, text) from exc
    except TimeoutError as exc:
        raise Transient(f"{doing}: no answer in time") from exc


def code(exc: KafkaException) -> int:
    """Return the error code of an exception; -1 when it has none."""
    error = exc.args[0]
    return int(error.code()) if isinstance(error, KafkaError) else -1


def fatal(error: KafkaError) -> bool:
    """Tell whether a client is dead for good and its process must end.

    librdkafka tells it in two ways: by the flag of the original error, and by an event of code _FATAL without the flag.
    """
    return bool(error.fatal()) or error.code() in {KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID}  # noqa: SLF001
