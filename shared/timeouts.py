"""How long a call to Azure may take before it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timeouts:
    """Seconds. azure-core's own defaults are 300 each, longer than some functions live."""

    connect: float = 5.0
    read: float = 30.0
    """Between two pieces of an answer, not for all of it."""

    def options(self) -> dict[str, Any]:
        """As keyword arguments of any client that is built on azure-core."""
        return {"connection_timeout": self.connect, "read_timeout": self.read}


DEFAULT_TIMEOUTS = Timeouts()
