"""The reference tables of the README, made from the lists they describe: `make reference` writes them.

Lives here: the tables and where they stand. A test fails when the README is stale (tests/test_docs.py).
"""

import sys
from pathlib import Path

from schemas import metrics, settings

ROOT = Path(__file__).parent.parent


def settings_table() -> str:
    """Return every setting of every process as a Markdown table."""
    rows = [f"| `{name}` | {_default(default)} | {who} | {text} |" for name, default, who, text in settings.reference()]
    return "\n".join(("| environment | default | processes | meaning |", "|---|---|---|---|", *rows))


def metrics_table() -> str:
    """Return every metric as a Markdown table."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.labels)} | {metric.help} |" for metric in metrics.LIST
    ]
    return "\n".join(("| metric | kind | labels | meaning |", "|---|---|---|---|", *rows))


def rewritten(text: str) -> str:
    """Return the README's text with both tables as they are now; ValueError when a marker is missing."""
    for name, table in (("settings", settings_table()), ("metrics", metrics_table())):
        text = put(text, f"<!-- {name} -->", f"<!-- /{name} -->", f"\n{table}\n")
    return text


def put(text: str, start: str, end: str, made: str) -> str:
    """Return a README's text with `made` between two markers; ValueError when one is missing."""
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"README.md lacks {start} … {end}")
    return f"{before}{start}{made}{end}{after}"


def main() -> int:
    """Write the tables into the README."""
    readme = ROOT / "README.md"
    readme.write_text(rewritten(readme.read_text("utf-8")), "utf-8")
    return 0


def _default(text: str) -> str:
    return "" if text in {"None", "{}"} else f"`{text}`" if text != "required" else text


if __name__ == "__main__":
    sys.exit(main())
