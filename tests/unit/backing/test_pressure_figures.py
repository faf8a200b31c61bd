"""What waits of each source is told to Prometheus as it is on the pressure topic, and no longer."""

from collections.abc import Iterable

from schemas.backing.kafka.pressure_figures import Watched
from schemas.metrics import Metrics
from schemas.wire.pressure import Origin, Pressure


class Topic:
    def __init__(self) -> None:
        self.sent: list[Pressure] = []
        self.closed = False

    def tell(self, records: Iterable[Pressure], gone: Iterable[tuple[str, Origin]] = ()) -> None:
        self.sent += records
        assert list(gone) in ([], [("s1", "stage")])

    def close(self) -> None:
        self.closed = True


def measured(source: str, at_ms: int, age_s: float, drained: float | None = None) -> Pressure:
    return Pressure("acme", source, "stage", at_ms, 0, 7, age_s, 100, drained, 0.0)


def test_the_newest_measure_of_each_source_is_shown_until_it_is_stale_or_the_source_gone() -> None:
    metrics, topic, now = Metrics(), Topic(), [100_000]
    watched = Watched(topic, metrics, lambda: now[0])

    def oldest(source: str) -> float | None:
        labels = {"source": source, "origin": "stage"}
        return metrics.registry.get_sample_value("hookberg_source_oldest_seconds", labels)

    watched.tell([measured("s1", 99_000, 4.0), measured("s2", 99_500, 5.0, 12.5)])
    watched.tell([measured("s1", 100_000, 6.5)])
    assert [oldest("s1"), oldest("s2"), oldest("s3")] == [6.5, 5.0, None]
    drained = {"source": "s2", "origin": "stage"}
    assert metrics.registry.get_sample_value("hookberg_source_drained_per_second", drained) == 12.5
    assert metrics.registry.get_sample_value("hookberg_source_lag_records", drained) == 7
    now[0] = 109_600
    assert [oldest("s1"), oldest("s2")] == [6.5, None]
    watched.tell([], [("s1", "stage")])
    assert oldest("s1") is None
    watched.close()
    assert (len(topic.sent), topic.closed) == (3, True)
