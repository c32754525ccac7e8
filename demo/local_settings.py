"""`local.settings.json` for Azure Functions Core Tools, so that `func start` is the host of a local cloud."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from demo.topology import FAST_SETTINGS, ROOT, app_settings
from infra.checks.settings import defaults
from localcloud.config import CloudConfig, Ports
from localcloud.stack import LocalCloud


def local_settings(cloud: LocalCloud) -> dict[str, Any]:
    """Every setting of the app, and what points the unmodified SDKs at this cloud."""
    values = {"FUNCTIONS_WORKER_RUNTIME": "python", **defaults({}), **cloud.complete_settings()}
    return {"IsEncrypted": False, "Values": dict(sorted(values.items()))}


def write_local_settings(cloud: LocalCloud, folder: Path) -> Path:
    """Readable by its owner only: it holds the secret of the identity endpoint."""
    file = folder / "local.settings.json"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(local_settings(cloud), stream, indent=2)
        stream.write("\n")
    return file


def example() -> str:
    """local.settings.json.example: the same, with the addresses of no start in particular."""
    config = CloudConfig(
        state_dir=str(ROOT / ".localcloud" / "up"),
        ports=Ports(azure=20001, identity=20002, blob=20003, queue=20004, table=20005, functions=7071),
        models=(),
        identity_header="written by `make up HOST=func` into .localcloud/up/local.settings.json",
    )
    cloud = LocalCloud(config, app_settings={**app_settings(config), **FAST_SETTINGS})
    return json.dumps(local_settings(cloud), indent=2).replace(f"{ROOT}/", "") + "\n"


if __name__ == "__main__":
    (ROOT / "local.settings.json.example").write_text(example())
