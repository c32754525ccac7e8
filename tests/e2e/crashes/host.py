"""`python -m tests.e2e.crashes.host …`: the local Functions host, tapped, and started anew whenever it dies.

Takes the arguments of `python -m localcloud.functions`. The process that is started only imports libraries, none of
the app's modules, and forks: each host is a new process with an empty memory, but need not spend seconds on imports.
"""

from __future__ import annotations

import faulthandler
import importlib
import os
import re
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from localcloud.config import CloudConfig
from localcloud.functions.__main__ import main as run_host
from localcloud.functions.__main__ import parse_arguments
from localcloud.processes import die_with_parent
from tests.e2e.crashes.effects import Services, effect_of
from tests.e2e.crashes.tap import Tap, install, kill_this_process

FOLDER = "crashes"
"""In the state directory: the plan, the journals, and one line per life of the host."""
DATASETS = re.compile(r"crash[0-9a-z]*")
"""How the datasets of these tests are called, everywhere."""

_LIBRARIES = (
    "azure.ai.ml",
    "azure.ai.ml.entities",
    "azure.data.tables",
    "azure.eventgrid",
    "azure.functions",
    "azure.identity",
    "azure.mgmt.core",
    "azure.storage.blob",
    "azure.storage.queue",
    "azurefunctions.extensions.bindings.blob",
    "msgspec",
    "localcloud.functions.server",
    "localcloud.functions.sdk_engine",
)


def main() -> int:
    options = parse_arguments()
    folder = options.state / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for library in _LIBRARIES:
        importlib.import_module(library)
    if threading.active_count() > 1:
        raise RuntimeError(f"a library started a thread at import, which a fork would lose: {threading.enumerate()}")
    child = 0
    ending = False

    def end(number: int, _: FrameType | None) -> None:
        nonlocal ending
        ending = True
        if child:
            os.kill(child, number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while True:
        child = os.fork()
        if child == 0:
            os._exit(_live(options.state))
        _note(folder, f"{child} began")
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        _note(folder, f"{child} ended with {code}")
        if ending or code >= 0:
            return max(code, 0)


def _note(folder: Path, line: str) -> None:
    with (folder / "lives").open("a") as lives:
        lives.write(f"{line}\n")


def _live(state: Path) -> int:
    """One life of the host, in the forked process."""
    faulthandler.enable()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent()
    ports = CloudConfig.load(state / "cloud.json").ports
    services = Services(ports.blob, ports.queue, ports.table)
    install(Tap(state / FOLDER, lambda request: effect_of(request, services, DATASETS), kill_this_process))
    try:
        return run_host()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
