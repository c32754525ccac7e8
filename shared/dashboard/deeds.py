"""What the buttons do: each is one call of the lifecycle, which also serves the API."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.dashboard.words import address
from shared.errors import PermanentError
from shared.lifecycle.allowance import allow_budget

if TYPE_CHECKING:
    from shared.lifecycle.replay import Replayer

log = logging.getLogger(__name__)

DONE = {
    "replay": "It goes on; the next look is under way.",
    "allow-budget": "It will be deployed beyond the month's budget; the next look is under way.",
}
"""What a page says after a deed, by its name."""


@dataclass(frozen=True)
class Deeds:
    replayer: Replayer

    def do(self, form: Mapping[str, str]) -> str:
        """The address that shows what became of it. Raises PermanentError where it is refused."""
        deed = form.get("do", "")
        if deed == "replay":
            tuning = form.get("tuning", "")
            self.replayer.replay(tuning, as_newest=form.get("as_newest") == "true")
            log.info("dashboard: %s of tuning %s", deed, tuning)
            return address(f"/tunings/{tuning}", done=deed)
        if deed == "allow-budget":
            tuning = form.get("tuning", "")
            allow_budget(self.replayer.lifecycle, tuning)
            log.info("dashboard: %s of tuning %s", deed, tuning)
            return address(f"/tunings/{tuning}", done=deed)
        raise PermanentError("BadRequest", f"there is no deed {deed[:40]!a}")


def about(form: Mapping[str, str]) -> str:
    """The path of the page that a form stood on."""
    tuning = form.get("tuning", "")
    return f"/tunings/{tuning}" if names.is_tuning_id(tuning) else ""
