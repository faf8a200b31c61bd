"""The document holds against generated requests: schemathesis runs against the live API, bounded in cases and time."""

import asyncio
import sys
from pathlib import Path

from tests.integration.api.world import SOURCE, STREAM, Api

_MAX_EXAMPLES = 3
_TIMEOUT_S = 120
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_NOT_HERE = "/api/v1/webhooks|/in/|/readyz"
"""Paths of the data plane, which is not mounted here, and readiness."""


async def test_generated_requests_find_no_defect(api: Api, tmp_path: Path) -> None:
    await api.make("/sources", SOURCE)
    await api.make("/streams", STREAM)
    command = (
        sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/api/v1/openapi.json",
        "--url", api.url,
        "--header", f"Authorization: Bearer {api.key}",
        "--phases", "examples,fuzzing",
        "--max-examples", str(_MAX_EXAMPLES),
        "--seed", "1",
        "--checks", _CHECKS,
        "--exclude-path-regex", _NOT_HERE,
        "--suppress-health-check", "all",
        "--generation-database", "none",
        "--no-color",
    )  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()[-6000:]
