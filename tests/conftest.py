"""Fixtures of the test stack for every test (tests/house)."""

pytest_plugins = ["tests.house.fixtures", "tests.house.figures"]
