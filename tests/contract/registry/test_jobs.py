"""Jobs: claimed with a lease, by one owner at a time, five times at most."""

from concurrent.futures import ThreadPoolExecutor

from schemas.backing.registry import SYSTEM, PageRequest, Registry
from schemas.definitions.job import Job, JobState
from schemas.reasons import Reason
from tests.contract.registry.make import refused
from tests.fakes.clock import ManualClock

KIND = "sinks.drop_table"


def test_the_oldest_job_of_a_kind_is_claimed_and_finished(registry: Registry, clock: ManualClock) -> None:
    first = registry.jobs.create("acme", KIND, {"stream": "s"}, actor=SYSTEM)
    clock.advance(1)
    second = registry.jobs.create("acme", KIND, {}, actor=SYSTEM)
    assert registry.jobs.claim(["streams.redrive"], "a", 10) is None
    claimed = registry.jobs.claim([KIND], "a", 10)
    assert claimed is not None
    assert (claimed.id, claimed.arguments, claimed.state, claimed.attempts) == (
        first.id,
        {"stream": "s"},
        JobState.RUNNING,
        1,
    )
    assert registry.jobs.progress(first.id, "a", 0.5, 10)
    assert registry.jobs.get("acme", first.id).progress == 0.5
    assert registry.jobs.finish(first.id, "a", {"rows": 3})
    done = registry.jobs.get("acme", first.id)
    assert (done.state, done.result, done.progress) == (JobState.SUCCEEDED, {"rows": 3}, 1.0)
    assert not registry.jobs.finish(first.id, "a", {})
    page = registry.jobs.list("acme", PageRequest(1))
    assert [job.id for job in page.items] == [second.id]
    assert [job.id for job in registry.jobs.list("acme", PageRequest(1, page.next_cursor)).items] == [first.id]
    refused(Reason.NOT_FOUND, lambda: registry.jobs.get("other", first.id))


def test_a_job_whose_lease_ran_out_goes_to_another_owner(registry: Registry, clock: ManualClock) -> None:
    job = registry.jobs.create("acme", KIND, {}, actor=SYSTEM)
    registry.jobs.claim([KIND], "a", 10)
    clock.advance(9)
    assert registry.jobs.claim([KIND], "b", 10) is None
    assert registry.jobs.progress(job.id, "a", 0.1, 10)
    clock.advance(10.5)
    taken = registry.jobs.claim([KIND], "b", 10)
    assert taken is not None
    assert taken.attempts == 2
    assert not registry.jobs.progress(job.id, "a", 0.2, 10)
    assert not registry.jobs.finish(job.id, "a", {})
    assert registry.jobs.finish(job.id, "b", {"error": "no"}, failed=True)
    assert registry.jobs.get("acme", job.id).state is JobState.FAILED


def test_a_job_that_kills_its_worker_five_times_fails(registry: Registry, clock: ManualClock) -> None:
    job = registry.jobs.create("acme", KIND, {}, actor=SYSTEM)
    for _ in range(5):
        assert registry.jobs.claim([KIND], "a", 1) is not None
        clock.advance(2)
    assert registry.jobs.claim([KIND], "a", 1) is None
    failed = registry.jobs.get("acme", job.id)
    assert failed.state is JobState.FAILED
    assert failed.result is not None
    assert "5 times" in failed.result["error"]


def test_two_claimers_never_get_the_same_job(registry: Registry) -> None:
    made = {registry.jobs.create("acme", KIND, {}, actor=SYSTEM).id for _ in range(20)}

    def drain(owner: str) -> list[Job]:
        got = []
        while (job := registry.jobs.claim([KIND], owner, 100)) is not None:
            got.append(job)
        return got

    with ThreadPoolExecutor(4) as pool:
        taken = [job.id for jobs in pool.map(drain, "abcd") for job in jobs]
    assert sorted(taken) == sorted(made)


def test_a_job_that_gets_on_is_never_given_up_and_keeps_its_result_so_far(
    registry: Registry, clock: ManualClock
) -> None:
    job = registry.jobs.create("acme", KIND, {}, actor=SYSTEM)
    for step in range(1, 9):
        taken = registry.jobs.claim([KIND], "a", 1)
        assert taken is not None
        assert taken.result == (None if step == 1 else {"step": step - 1})
        assert registry.jobs.progress(job.id, "a", step / 10, 1, {"step": step})
        clock.advance(2)
    assert registry.jobs.get("acme", job.id).state is JobState.RUNNING
