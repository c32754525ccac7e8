"""Azurite, Microsoft's storage emulator: how it is found, started, and known to be up."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from localcloud.config import STORAGE_ACCOUNT
from localcloud.processes import Process, StackError

if TYPE_CHECKING:
    from localcloud.config import CloudConfig

# Public and the same everywhere: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


_PRELOADED = tuple(Path(__file__).with_name(name) for name in ("azurite_shutdown.cjs", "azurite_journal.cjs"))


def find_azurite(*starts: Path) -> Path:
    """The program: $AZURITE, else node_modules/.bin of `starts` and the folders above them, else on the PATH.

    Raises StackError that says how to install it.
    """
    if named := os.environ.get("AZURITE"):
        if (program := Path(named)).is_file():
            return program
        raise StackError(f"AZURITE={named} is not a file.")
    for start in starts:
        for folder in (start.resolve(), *start.resolve().parents):
            program = folder / "node_modules" / ".bin" / "azurite"
            if program.is_file():
                return program
    if found := shutil.which("azurite"):
        return Path(found)
    raise StackError(
        f"Azurite was not found at or above {', '.join(map(str, starts))}. Install it with `npm ci` in the checkout, "
        "or set AZURITE to the program."
    )


def azurite_process(
    config: CloudConfig,
    program: Path,
    *,
    persistent: bool,
    log_file: Path,
) -> Process:
    """Azurite over HTTPS with bearer tokens (`--oauth basic`).

    Its access log goes to config.azurite_log and is turned over at 16 MiB (the older half is azurite.log.1);
    blobs that were created or deleted are written to config.storage_journal, from where events are made.

    `persistent` keeps the data in STATE/azurite, else it is gone with the process. Azurite writes its indexes
    only every 5 s and when it is asked to end (LokiJS autosave): killed with SIGKILL it forgets up to 5 s. So
    when its parent is killed it gets SIGTERM.
    """
    state_dir = Path(config.state_dir)
    location = state_dir / "azurite"
    ports = config.ports
    command = [
        *(str(program), "--blobHost", "127.0.0.1", "--blobPort", str(ports.blob)),
        *("--queueHost", "127.0.0.1", "--queuePort", str(ports.queue)),
        *("--tableHost", "127.0.0.1", "--tablePort", str(ports.table)),
        *("--cert", str(config.server_cert), "--key", str(config.server_key), "--oauth", "basic"),
        "--skipApiVersionCheck",  # it knows API versions up to 2025-11-05, the current SDKs send newer ones
        "--disableProductStyleUrl",
        "--disableTelemetry",
    ]
    command += ["--location", str(location)] if persistent else ["--inMemoryPersistence"]
    return Process(
        "azurite",
        command,
        state_dir,
        log_file=log_file,
        output_file=config.azurite_log,
        environment={
            **os.environ,
            "NODE_OPTIONS": _node_options(),
            "LOCALCLOUD_JOURNAL": str(config.storage_journal),
            "LOCALCLOUD_BLOB_PORT": str(ports.blob),
            "LOCALCLOUD_ACCESS_LOG": str(config.azurite_log),
        },
        directory=state_dir,
        death_signal=signal.SIGTERM,
    )


def _node_options() -> str:
    inherited = os.environ.get("NODE_OPTIONS", "")
    return " ".join([inherited, *(f'--require "{script}"' for script in _PRELOADED)]).strip()


def azurite_is_up(config: CloudConfig) -> bool:
    """Whether all three services answer, be it with an error: they start one after the other."""
    trusted = ssl.create_default_context(cafile=str(config.ca_file))
    try:
        with httpx.Client(verify=trusted, timeout=2, trust_env=False) as client:
            for url in (config.blob_url, config.queue_url, config.table_url):
                client.get(url)
    except httpx.HTTPError:
        return False
    return True


def connection_string(config: CloudConfig) -> str:
    """For tools that know no managed identity (Azure Storage Explorer, `az storage`)."""
    return (
        f"DefaultEndpointsProtocol=https;AccountName={STORAGE_ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint={config.blob_url};QueueEndpoint={config.queue_url};TableEndpoint={config.table_url};"
    )
