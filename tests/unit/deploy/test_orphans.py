"""What `hookberg table NAME --orphans` prints."""

from deploy.cli.tables import swept_text


def test_a_sweep_says_what_it_found_deleted_and_left_out() -> None:
    result = {"files": 3, "bytes": 12_000, "deleted": 0, "shown": ["orders/data/a.parquet"], "notSwept": ["b: why"]}
    assert swept_text({"id": "j", "state": "succeeded", "result": result}).splitlines() == [
        "  orders/data/a.parquet",
        "  and 2 more",
        "3 orphans, 12,000 bytes; 0 deleted",
        "not swept: b: why",
    ]
    assert swept_text({"id": "j", "state": "failed", "result": {}}) == "job j: failed"
