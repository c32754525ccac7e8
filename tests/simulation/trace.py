"""What happened in a schedule, line by line, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Trace:
    """Texts are made only when the trace is `wanted`: of thousands of schedules nobody reads but the failing one."""

    clock: Callable[[], datetime]
    wanted: bool = False
    lines: list[str] = field(default_factory=list)

    def note(self, who: str, what: str) -> None:
        if self.wanted:
            self.lines.append(f"{self.clock():%d %H:%M:%S.%f}"[:-3] + f"  {who:<44.44}  {what}")
