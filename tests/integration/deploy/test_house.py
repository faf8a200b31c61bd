"""The test stack itself: one broker shared by a run, a throw-away PostgreSQL."""

import os

import psycopg
import pytest

from deploy.local.kafka.probe import any_broker, brokers_seen
from tests.house import stack
from tests.house.broker import shared_broker
from tests.house.polling import wait_until


def test_users_of_one_run_share_the_broker_and_it_ends_with_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.house.broker.kept_bootstrap", lambda: None)
    run = {"PYTEST_XDIST_TESTRUNUID": f"house-test-{os.getpid()}"}
    with shared_broker(run) as first:
        with shared_broker(run) as second:
            assert second == first
        assert any_broker(first)
    assert not any_broker(first)


def test_the_session_broker_answers(kafka_bootstrap: str) -> None:
    assert brokers_seen(int(kafka_bootstrap.rpartition(":")[2])) == 1


def test_postgres_gives_an_empty_database_each_time(postgres: stack.Postgres) -> None:
    urls = {postgres.fresh_database(), postgres.fresh_database()}
    assert len(urls) == 2
    for url in urls:
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
            assert connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone() == (0,)


def test_wait_until_says_what_it_saw_last() -> None:
    with pytest.raises(AssertionError, match=r"the answer not met within 0\.1 s; last value: 0"):
        wait_until(lambda: 0, 0.1, what="the answer")
