"""Our own processes: do they answer /readyz where the settings say, and can vendors reach the address they are told.

Lives here: asking and judging. A process of another machine cannot be told from one that does not run.
"""

import ipaddress
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import requests

from deploy.doctor.settings import DoctorSettings
from schemas.backing.probe import Finding, Probe, fail, ok, warn

ASK_S = 3.0
_READY = 200
_ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 compared, not bound
_BODY = 300
Get = Callable[..., requests.Response]


def probes(given: DoctorSettings, *, local: bool, running: bool, key: str = "") -> list[Probe]:
    """Return a question for each process, and one for the public address; who sends an API key is told details."""
    places = {
        "api": (given.api_host, given.api_port),
        "ingress": (given.ingest_host, given.ingest_port),
        "streams": (given.streams_host, given.streams_health_port),
        "sinks": (given.sinks_host, given.sinks_health_port),
        "notify": (given.notify_host, given.notify_health_port),
    }
    found = [
        Probe(
            name,
            partial(ready, name, host, port, must=local and running, key=key),
            f"look at the log of `hookberg {name}`",
        )
        for name, (host, port) in places.items()
        if port and (running or not local)
    ]
    public = partial(reachable, given.public_ingest_url, local=local)
    return [*found, Probe("public url", public, "check HOOKBERG_PUBLIC_INGEST_URL and the proxy before the ingress")]


def ready(name: str, host: str, port: int, *, must: bool, key: str = "", get: Get = requests.get) -> list[Finding]:
    """Ask a process whether it is ready; one that `must` run and does not is a failure."""
    at = f"{'127.0.0.1' if host in _ANY else host}:{port}"
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = get(f"http://{at}/readyz", headers=headers, timeout=ASK_S)
    except requests.RequestException:
        judge = fail if must else warn
        mend = f"start `hookberg {name}`; if it runs on another machine, ask its /readyz there"
        return [judge(name, f"nothing answers at {at}", mend)]
    if answer.status_code == _READY:
        return [ok(name, f"ready at {at}")]
    text = " ".join(answer.text[:_BODY].split())
    return [fail(name, f"not ready at {at}: {text}", f"look at the log of `hookberg {name}`")]


def reachable(url: str, *, local: bool, get: Get = requests.get) -> list[Finding]:
    """Tell whether an address that vendors are told is one, and answers; any HTTP answer will do."""
    host = urlsplit(url).hostname or ""
    if is_private(host):
        mend = "set HOOKBERG_PUBLIC_INGEST_URL to what vendors can reach; a tunnel gives an address (README)"
        text = f"{url} is for this machine or network only: no vendor can reach it"
        return [ok("public url", f"{text}; enough for a laptop") if local else warn("public url", text, mend)]
    try:
        answer = get(f"{url}/livez", timeout=ASK_S, allow_redirects=False)
    except requests.RequestException as error:
        text = f"{url} does not answer from here ({type(error).__name__})"
        mend = "check HOOKBERG_PUBLIC_INGEST_URL, its DNS name, the proxy and its certificate"
        return [fail("public url", text, mend)]
    return [ok("public url", f"{url} answers ({answer.status_code})")]


def is_private(host: str) -> bool:
    """Tell whether a host is a name or an address of this machine or of a private network."""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".example", ".invalid", ".test")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host
