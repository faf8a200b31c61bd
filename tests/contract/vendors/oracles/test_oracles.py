"""Vendors' own libraries asked about every case of the kit: they agree with us, or deviations.py says where and why.

A listed deviation that is gone fails as a new one does. Needs the libraries of requirements.lock: `make fixtures`.
"""

from pathlib import Path

import pytest

from tests import fixtures
from tests.contract.vendors.oracles.ask import LIBRARIES, WITHOUT, Oracle, cases, ours, theirs
from tests.contract.vendors.oracles.deviations import DEVIATIONS
from tests.contract.vendors.oracles.judges import ACCEPTS, JUDGES
from tests.contract.vendors.oracles.table import README, table
from tests.contract.vendors.roster import SENDERS


@pytest.mark.parametrize("oracle", LIBRARIES, ids=lambda oracle: oracle.name)
def test_a_vendors_own_library_agrees_but_for_listed_deviations(oracle: Oracle) -> None:
    asked = cases(oracle)
    said = theirs(oracle, asked)
    accepted = {case.sender.name for case, words in zip(asked, said, strict=True) if words == ACCEPTS == ours(case)}
    assert accepted == set(oracle.senders), "nothing was compared: the library is called wrongly"
    found = {
        (case.sender.name, case.name, words, own)
        for case, words in zip(asked, said, strict=True)
        if words != (own := ours(case))
    }
    known = {(case.sender.name, case.name) for case in asked}
    listed = {
        (sender, name, one.theirs, one.ours)
        for one in DEVIATIONS
        if one.oracle == oracle.name
        for sender in one.of_senders()
        for name in one.cases
        if (sender, name) in known
    }
    assert found == listed


def test_says_what_to_do_when_the_libraries_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixtures, "cache_dir", lambda: tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(fixtures.FixtureError, match=r"oracles/requirements\.lock.*make fixtures"):
        fixtures.libraries(fixtures.ORACLES)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [], "half a folder would be taken for a whole one"


def test_every_sender_has_a_library_or_a_reason_for_none() -> None:
    judged = [sender for oracle in LIBRARIES for sender in oracle.senders]
    assert len(judged) == len(set(judged))
    assert {*judged} | WITHOUT.keys() == {sender.name for sender in SENDERS}
    assert not {*judged} & WITHOUT.keys()


def test_the_list_names_cases_that_are_there() -> None:
    assert {oracle.name for oracle in LIBRARIES} == set(JUDGES)
    names = {oracle.name: {case.name for case in cases(oracle)} for oracle in LIBRARIES}
    assert [(one.oracle, name) for one in DEVIATIONS for name in one.cases if name not in names[one.oracle]] == []
    assert all(one.theirs != one.ours and len(one.reason) > 20 for one in DEVIATIONS)


def test_the_readmes_tables_are_the_lists() -> None:
    assert table() in README.read_text("utf-8"), "run python -m tests.contract.vendors.oracles.table"
