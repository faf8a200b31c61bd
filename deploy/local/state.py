"""`up.json`: where the server of a data folder is, for the command line and for tests.

Lives here: its fields, writing, reading. May not live here: secrets (admin.key is named, never quoted).
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.folder import DataFolder, replace_private
from deploy.local.plan import Ports
from deploy.local.ports import LOOPBACK
from deploy.local.supervisor import ChildState

FORMAT = 1


@dataclass(slots=True)
class UpState:
    """Keep `up.json` current: written at start, at every restart, at readiness; removed at a clean end."""

    folder: DataFolder
    ports: Ports
    bootstrap: str
    public_url: str
    ready_s: float | None = None

    def write(self, children: tuple[ChildState, ...]) -> None:
        """Replace the file with the present state."""
        replace_private(self.folder.up_file, json.dumps(self.document(children), indent=1) + "\n")

    def remove(self) -> None:
        """Remove the file."""
        self.folder.up_file.unlink(missing_ok=True)

    def document(self, children: tuple[ChildState, ...]) -> dict[str, Any]:
        """Return the file's content."""
        return {
            "format": FORMAT,
            "pid": os.getpid(),
            "ready": self.ready_s is not None and all(child.ready for child in children),
            "readySeconds": self.ready_s,
            "url": f"http://{LOOPBACK}:{self.ports.api}",
            "ingestUrl": f"http://{LOOPBACK}:{self.ports.ingress}",
            "publicIngestUrl": self.public_url,
            "kafkaBootstrapServers": self.bootstrap,
            "ports": {
                "api": self.ports.api,
                "ingress": self.ports.ingress,
                "streams": self.ports.streams,
                "sinks": self.ports.sinks,
                "notify": self.ports.notify,
                "stats": self.ports.stats,
            },
            "adminKeyFile": str(self.folder.admin_key),
            "catalogUri": f"sqlite:///{self.folder.catalog}",
            "warehouse": f"file://{self.folder.warehouse}",
            "processes": {
                child.name: {"pid": child.pid, "ready": child.ready, "restarts": child.restarts} for child in children
            },
        }


def read_state(data_dir: Path) -> Mapping[str, Any] | None:
    """Return `up.json` of a data folder, None when there is none, it cannot be read, or its supervisor is gone."""
    try:
        document = json.loads((data_dir / "up.json").read_text())
        os.kill(int(document["pid"]), 0)
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document if isinstance(document, dict) and document.get("format") == FORMAT else None
