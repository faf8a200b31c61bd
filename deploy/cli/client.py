"""How a command finds and asks the server: --url/--key, then HOOKBERG_URL/HOOKBERG_KEY, then the nearest .hookberg/.

Lives here: the lookup and the HTTP calls of the command line. Not here: what is printed.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import requests
import typer

DATA_DIR = ".hookberg"
TIMEOUT_S = 30.0

UrlOption = Annotated[str | None, typer.Option("--url", help="Server, for example http://127.0.0.1:8080")]
KeyOption = Annotated[str | None, typer.Option("--key", help="API key; better: the environment HOOKBERG_KEY")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Tenant to act for (admin keys)")]
DataDirOption = Annotated[Path | None, typer.Option("--data-dir", help="Data folder of `hookberg up`")]


class ServerError(Exception):
    """The server cannot be found or reached, or refused the call; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the server is. `ingest` is the fast door, `data_dir` the folder it was found by, if any."""

    url: str
    ingest: str
    key: str = field(repr=False)
    tenant: str | None
    data_dir: Path | None

    def call(self, method: str, path: str, body: Any = None, *, query: dict[str, str] | None = None) -> Any:  # noqa: ANN401 JSON
        """Ask the control plane; return the JSON answer, raise `ServerError` with the problem's words."""
        return self._ask(method, f"/api/v1{path}", body, query)

    def catalog(self, path: str) -> Any:  # noqa: ANN401 JSON
        """Ask the REST catalog for `path` below /iceberg/v1; return the JSON answer, raise `ServerError` as `call`."""
        return self._ask("GET", f"/iceberg/v1{path}", None, None)

    def _ask(self, method: str, path: str, body: Any, query: dict[str, str] | None) -> Any:  # noqa: ANN401 JSON
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if self.tenant:
            headers["X-Tenant-Id"] = self.tenant
        if method == "PATCH":
            headers["Content-Type"] = f"application/{'json' if isinstance(body, list) else 'merge'}-patch+json"
        try:
            answer = requests.request(
                method, f"{self.url}{path}", json=body, params=query, headers=headers, timeout=TIMEOUT_S
            )
        except requests.RequestException as exc:
            raise ServerError(f"{self.url} does not answer ({type(exc).__name__}): is `hookberg up` running?") from None
        if answer.ok:
            return answer.json() if answer.content else None
        raise ServerError(_problem(answer))


def find(
    url: str | None = None, key: str | None = None, tenant: str | None = None, data_dir: Path | None = None
) -> Server:
    """Find the server as the module's docstring says; raise `ServerError` when there is none."""
    folder = data_dir or nearest(Path.cwd())
    running = _running(folder)
    url = url or os.environ.get("HOOKBERG_URL") or running.get("url")
    key = key or os.environ.get("HOOKBERG_KEY") or _admin_key(folder)
    if not url:
        raise ServerError("no server found: start one with `hookberg up`, or give --url and --key")
    if not url.startswith(("http://", "https://")):
        raise ServerError(f"{url!r} is no URL: write it as http://127.0.0.1:8080")
    return Server(url.rstrip("/"), (running.get("ingestUrl") or url).rstrip("/"), key or "", tenant, folder)


def nearest(start: Path) -> Path | None:
    """Return the nearest `.hookberg` folder at or above `start`."""
    return next((at / DATA_DIR for at in (start, *start.parents) if (at / DATA_DIR).is_dir()), None)


def _running(folder: Path | None) -> dict[str, Any]:
    try:
        found = json.loads((folder / "up.json").read_text("utf-8")) if folder else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _admin_key(folder: Path | None) -> str | None:
    try:
        return (folder / "admin.key").read_text("utf-8").strip() if folder else None
    except OSError:
        return None


def _problem(answer: requests.Response) -> str:
    try:
        problem = answer.json()
        if isinstance(problem.get("error"), dict):  # the REST catalog's
            return f"{problem['error']['type']}: {problem['error']['message']}"
        text = f"{problem.get('reason', answer.status_code)}: {problem.get('detail') or problem.get('title')}"
    except (ValueError, AttributeError):
        return f"{answer.request.method} {answer.url}: HTTP {answer.status_code}"
    faults = [f"\n  {fault.get('pointer') or '/'}: {fault.get('detail')}" for fault in problem.get("errors") or ()]
    return text + "".join(faults[:20])
