"""The tables of this folder's README, made of the lists: `python -m tests.contract.vendors.oracles.table`."""

import re
from pathlib import Path

from deploy.reference import put
from tests.contract.vendors.oracles.ask import LIBRARIES, WITHOUT, cases
from tests.contract.vendors.oracles.deviations import DEVIATIONS
from tests.fixtures import ORACLES

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- tables: made by table.py -->\n", "<!-- end of tables -->"


def table() -> str:
    """Return the tables' text: the libraries, where they deviate, who has none."""
    pins = dict(re.findall(r"^([a-z0-9-]+)==([0-9.]+)", ORACLES.read_text("utf-8"), re.MULTILINE))
    libraries = (
        f"| {one.package} {pins[one.package]} | `{one.call}` | {', '.join(one.senders)} | {len(cases(one))} |\n"
        for one in LIBRARIES
    )
    packages = {one.name: one.package for one in LIBRARIES}
    deviations = (
        f"| {packages[one.oracle]} | {', '.join(one.cases)} | {one.theirs} | {one.ours} | {one.reason} |\n"
        for one in DEVIATIONS
    )
    without = (f"| {name} | {reason} |\n" for name, reason in WITHOUT.items())
    return (
        "| library | what is called | judges (vendor:scheme) | cases |\n|---|---|---|---|\n"
        + "".join(libraries)
        + "\nWhere they say otherwise than we do:\n\n| library | cases | it | we | why |\n|---|---|---|---|---|\n"
        + "".join(dict.fromkeys(deviations))
        + "\nSchemes that no library judges:\n\n| vendor:scheme | why |\n|---|---|\n"
        + "".join(without)
    )


def main() -> None:
    """Write the tables into the README."""
    README.write_text(put(README.read_text("utf-8"), BEGIN, END, table()), "utf-8")


if __name__ == "__main__":
    main()
