"""A broker that answers with errors of one's choice: librdkafka's own mock cluster, which its Python wheel carries.

Lives here: the few calls of rdkafka_mock.h by ctypes. A real broker gives such answers for moments only.
https://github.com/confluentinc/librdkafka/blob/master/src/rdkafka_mock.h
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

_PRODUCER = 0
_ERROR_BYTES = 512


class MockKafka:
    """One broker; `bootstrap` is its address."""

    def __init__(self, library: ctypes.CDLL, cluster: int) -> None:
        self._library, self._cluster = library, cluster
        self.bootstrap: str = library.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        assert self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1) == 0

    def answer(self, api_key: int, *errors: int) -> None:
        """Answer the next requests of an API (https://kafka.apache.org/protocol#protocol_api_keys) with errors."""
        for error in errors:
            self._library.rd_kafka_mock_push_request_errors(self._cluster, api_key, 1, error)


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    """Run a mock cluster of one broker."""
    library = _library()
    error = ctypes.create_string_buffer(_ERROR_BYTES)
    conf = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(conf, b"log_level", b"2", error, _ERROR_BYTES)
    client = library.rd_kafka_new(_PRODUCER, conf, error, _ERROR_BYTES)
    assert client, error.value
    cluster = library.rd_kafka_mock_cluster_new(client, 1)
    try:
        yield MockKafka(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)


def _library() -> ctypes.CDLL:
    beside = Path(str(files("confluent_kafka"))).parent / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(beside.glob("librdkafka*"))))
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for name, result, arguments in (
        ("conf_new", pointer, ()),
        ("conf_set", number, (pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)),
        ("new", pointer, (number, pointer, ctypes.c_char_p, ctypes.c_size_t)),
        ("destroy", None, (pointer,)),
        ("mock_cluster_new", pointer, (pointer, number)),
        ("mock_cluster_destroy", None, (pointer,)),
        ("mock_cluster_bootstraps", ctypes.c_char_p, (pointer,)),
        ("mock_topic_create", number, (pointer, ctypes.c_char_p, number, number)),
        ("mock_push_request_errors", None, (pointer, ctypes.c_int16, ctypes.c_size_t, number)),
    ):
        call = getattr(library, f"rd_kafka_{name}")
        call.restype, call.argtypes = result, list(arguments)
    return library
