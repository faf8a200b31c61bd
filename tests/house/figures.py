"""Figures that tests measure and judge with a wide margin, or not at all: shown at the end of the run.

Lives here: the fixture `figure` and the lines of the summary. Benchmarks print their own (tests/benchmarks).
"""

import os
from collections.abc import Callable

import pytest

KEY = "figure"


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, object], None]:
    """Note a figure: what it is, and its value with its unit."""

    def note(what: str, value: object) -> None:
        record_property(KEY, f"{what}: {value} (load {os.getloadavg()[0]:.1f})")

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was noted, by test."""
    reports = [each for reports in terminalreporter.stats.values() for each in reports if hasattr(each, "nodeid")]
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, text in report.user_properties
        if name == KEY
    ]
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
