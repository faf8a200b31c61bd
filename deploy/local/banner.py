"""What `hookberg up` says to the person who typed it.

Lives here: texts. May not live here: decisions. The admin key itself is never printed, only the command that reads it.
"""

import shlex
import sys
from pathlib import Path

from rich.console import Console

from deploy.local.kafka import Progress
from deploy.local.state import UpState
from schemas.errors import ConfigurationError

DEFAULT_NAME = ".hookberg"
QUERY = "SELECT event_type, count(*) AS events FROM demo.github_events GROUP BY 1 ORDER BY 2 DESC"


def report_progress(out: Console, progress: Progress) -> None:
    """Print one line about a fetch."""
    jars = f", {progress.jars} jars" if progress.jars else ""
    say(out, f"{progress.step}{jars}, {progress.seconds:.0f} s")


def greet(out: Console, state: UpState, data_dir: Path) -> None:
    """Print URLs, the time it took, and three commands that run as pasted."""
    document = state.document(())
    say(out, "")
    say(out, f"Hookberg is ready after {state.ready_s} s. ctrl-C ends it.")
    say(out, f"  control plane   {document['url']}      documentation at {document['url']}/docs")
    say(out, f"  ingest          {document['ingestUrl']}")
    if document["publicIngestUrl"] != document["ingestUrl"]:
        say(out, f"  vendors reach   {document['publicIngestUrl']}")
    say(out, f"  Kafka           {document['kafkaBootstrapServers']}")
    say(out, f"  data, logs      {_short(state.folder.root)}")
    say(out, "In another terminal, in this folder:")
    for command in commands(data_dir, str(document["url"])):
        say(out, f"  {command}")


def commands(data_dir: Path, url: str, executable: str = sys.executable) -> tuple[str, ...]:
    """Return the three commands; the server's URL joins the first when the data folder is not the default one."""
    key = f"HOOKBERG_KEY=$(cat {shlex.quote(str(data_dir / 'admin.key'))})"
    found_alone = data_dir == Path(DEFAULT_NAME)
    program = shlex.quote(_short(Path(executable).with_name("hookberg")))
    return (
        f"export {key}" if found_alone else f"export HOOKBERG_URL={url} {key}",
        f"{program} demo",
        f'{program} query "{QUERY}"',
    )


def explain_failure(out: Console, error: ConfigurationError) -> None:
    """Print why nothing was started."""
    say(out, f"hookberg up: {error}")


def say(out: Console, text: str) -> None:
    """Print text as it is: no markup, no colours by guess, no wrapping."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
