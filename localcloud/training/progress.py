"""What the run tells whoever started it: one JSON object a line on standard output. Logs go to standard error."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from localcloud.training.errors import SYSTEM_ERROR, UserError

log = logging.getLogger(__name__)


class StepFailedError(Exception):
    """A step failed and has been reported: nothing is left but to end."""


@dataclass
class Progress:
    """Reports steps and metrics to `out`, flushed after each line. Times are Unix seconds."""

    out: TextIO
    step: str = field(default="", init=False)

    @contextmanager
    def running(self, step: str) -> Iterator[None]:
        """Report the start and the end of `step`. Any exception inside is reported and becomes StepFailedError."""
        self.step = step
        self._write(type="step_started", step=step, time=time.time())
        started = time.perf_counter()
        try:
            yield
        except UserError as error:
            self._failed(error.code, str(error))
            raise StepFailedError(step) from error
        except Exception as error:
            log.exception("step %s failed", step)
            self._failed(SYSTEM_ERROR, f"{type(error).__name__}: {error}")
            raise StepFailedError(step) from error
        log.info("step %s took %.1f s", step, time.perf_counter() - started)
        self._write(type="step_completed", step=step, time=time.time())

    def metric(self, name: str, value: float, *, at: int, total: int) -> None:
        """`at` and `total` count optimizer steps."""
        self._write(type="metric", step=self.step, name=name, value=value, at=at, total=total)

    def _failed(self, code: str, message: str) -> None:
        log.error("step %s failed: %s: %s", self.step, code, message)
        self._write(type="step_failed", step=self.step, code=code, message=message, time=time.time())

    def _write(self, **fields: str | float) -> None:
        print(json.dumps(fields), file=self.out, flush=True)
