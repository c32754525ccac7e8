"""Which ports a local cloud listens on: the same for ever, because stored resources contain URLs."""

from __future__ import annotations

import json
import logging
import random
import socket
import time
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from localcloud.config import Ports
from localcloud.processes import end_leftovers, exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

PURPOSES = {
    "azure": "Azure ML, Monitor and Event Grid",
    "identity": "managed identity",
    "blob": "blob storage",
    "queue": "queue storage",
    "table": "table storage",
    "functions": "Functions host",
}

# Below the range from which systems take the ports of outgoing connections (32768 on Linux, 49152 elsewhere):
# else any connection could hold one of ours between two starts.
_LOWEST, _HIGHEST = 20000, 32000
_CLOSING = 2.0


class PortInUseError(RuntimeError):
    """A port that this state dir needs again is taken by another program."""

    def __init__(self, port: int, purpose: str, state_dir: Path) -> None:
        super().__init__(
            f"Port {port} ({purpose} of the local cloud in {state_dir}) is in use by another program. "
            f"Stop that program (find it with: lsof -i :{port}). The port cannot be changed, because what is "
            f"stored there has URLs with it; to begin anew, without that data, delete {state_dir}."
        )
        self.port = port
        self.purpose = purpose


def allot_ports(state_dir: Path) -> Ports:
    """The ports of the last start of this state dir, else six free ones, remembered in ports.json.

    First ends what a killed run may have left on them. Raises PortInUseError, and AlreadyRunningError when
    the state dir is in use: a running cloud's ports are in its cloud.json.
    """
    state_dir = state_dir.resolve()
    with exclusive(state_dir):
        end_leftovers(state_dir)
        file = state_dir / "ports.json"
        if file.exists():
            ports = Ports(**json.loads(file.read_text()))
            for name, port in asdict(ports).items():
                if not _becomes_free(port):
                    raise PortInUseError(port, PURPOSES[name], state_dir)
            return ports
        free = _free_ports()
        ports = Ports(**{field.name: next(free) for field in fields(Ports)})
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(ports), indent=1))
        new.replace(file)
        log.info("allotted ports %s", asdict(ports))
        return ports


def _free_ports() -> Iterator[int]:
    candidates = list(range(_LOWEST, _HIGHEST))
    random.SystemRandom().shuffle(candidates)
    return (port for port in candidates if _is_free(port))


def _becomes_free(port: int) -> bool:
    """A process that was just killed keeps its ports until the kernel has closed its files."""
    until = time.monotonic() + _CLOSING
    while not _is_free(port):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not matter
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
