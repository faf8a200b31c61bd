"""The health page over a real socket."""

import json
import urllib.error
import urllib.request
from asyncio import to_thread

import pytest

from schemas.backing.health import HealthServer
from schemas.definitions.key import digest
from schemas.errors import ConfigurationError
from schemas.metrics import Metrics
from tests.fakes.registry import key


def get(url: str, token: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()


async def test_live_ready_and_metrics_are_told() -> None:
    problems = {"kafka": "no broker answers", "disk": ""}
    metrics = Metrics()
    metrics.gauge("hookberg_registry_age_seconds").set(1.5)
    keys = {digest("hbk_a"): key()}
    server = HealthServer("127.0.0.1", 0, lambda: problems, metrics, lambda: keys)
    await server.start()
    base = f"http://127.0.0.1:{server.port}"
    assert (await to_thread(get, f"{base}/livez"))[0] == 200
    for token in ("", "hbk_b"):
        assert await to_thread(get, f"{base}/readyz", token) == (503, '{"status": "unready"}')
    status, text = await to_thread(get, f"{base}/readyz", "hbk_a")
    assert (status, json.loads(text)["checks"]) == (503, {"kafka": "no broker answers", "disk": "ok"})
    problems.clear()
    assert (await to_thread(get, f"{base}/readyz"))[0] == 200
    assert "hookberg_registry_age_seconds 1.5" in (await to_thread(get, f"{base}/metrics"))[1]
    await server.stop()
    with pytest.raises(urllib.error.URLError):
        await to_thread(get, f"{base}/livez")


async def test_a_taken_port_says_so() -> None:
    first = HealthServer("127.0.0.1", 0, dict, Metrics())
    await first.start()
    with pytest.raises(ConfigurationError, match="port_taken"):
        await HealthServer("127.0.0.1", first.port, dict, Metrics()).start()
    await first.stop()
