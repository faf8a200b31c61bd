"""`hookberg tenant delete`, for a person: what it will do, where it is, how it ended."""

from typing import Any

from deploy.cli.tenant import job_text, step_text, warning


def job(state: str, progress: float, **result: Any) -> dict[str, Any]:
    return {"id": "j", "state": state, "progress": progress, "result": result or None}


def test_says_before_anything_is_done_what_goes_and_what_stays() -> None:
    assert "its tables stay" in warning("acme", force=False, drop_tables=False)
    assert "when all that was accepted has its outcome" in warning("acme", force=False, drop_tables=False)
    forced = warning("acme", force=True, drop_tables=True)
    assert "undecided records are lost" in forced
    assert "its tables are dropped" in forced


def test_says_the_step_and_what_it_waits_for() -> None:
    assert step_text(job("queued", 0.0)) == "  0% queued"
    waits = [f"topic {n}" for n in range(5)]
    line = step_text(job("running", 0.143, step="draining", waitingFor=waits))
    assert line == " 14% draining: topic 0; topic 1; topic 2 and 2 more"


def test_says_what_became_of_topics_and_tables() -> None:
    assert job_text("acme", job("succeeded", 1.0, topicsDeleted=5, tables="kept")) == (
        "tenant acme is gone: 5 topics deleted, tables kept"
    )
    dropped = {"dropped": ["a.b", "a.c"], "left": ["a.theirs"]}
    assert "2 dropped, 1 not ours" in job_text("acme", job("succeeded", 1.0, tables=dropped))
    assert job_text("acme", job("failed", 0.5)) == "job j: failed"
