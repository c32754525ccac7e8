"""What the buttons do: each is one call of the lifecycle, which also serves the API."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import names
from shared.dashboard.words import address
from shared.errors import PermanentError
from shared.lifecycle.allowance import allow_budget
from shared.lifecycle.listing import Listing
from shared.lifecycle.standing import Situation
from shared.lifecycle.waking import BY_OPERATOR

if TYPE_CHECKING:
    from shared.lifecycle.cancel import Canceler
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.replay import Replayer
    from shared.lifecycle.waking import EndpointKeeper

log = logging.getLogger(__name__)

Form = Mapping[str, str]

DONE = {
    "replay": "It goes on; the next look is under way.",
    "allow-budget": "It will be deployed beyond the month's budget; the next look is under way.",
    "cancel": "It is canceled; what it has in the cloud is being removed.",
    "wake": "Its last live model is being deployed again.",
    "sleep": "It is being deleted; its model stays, and can be woken.",
    "keep": "The idle sweep leaves it alone.",
    "let-go": "The idle sweep looks at it again.",
}
"""What a page says after a deed, by its name."""


@dataclass(frozen=True)
class Deeds:
    lifecycle: Lifecycle
    replayer: Replayer
    canceler: Canceler
    keeper: EndpointKeeper

    def do(self, form: Form) -> str:
        """The address that shows what became of it. Raises PermanentError where it is refused."""
        name = form.get("do", "")
        deed = self._deeds.get(name)
        if deed is None:
            raise PermanentError("BadRequest", f"there is no deed {name[:40]!a}")
        deed(form)
        log.info("dashboard: %s of %s", name, form.get("tuning") or form.get("dataset"))
        return address(about(form), done=name)

    @property
    def _deeds(self) -> Mapping[str, Callable[[Form], object]]:
        return {
            "replay": lambda form: self.replayer.replay(
                form.get("tuning", ""), as_newest=form.get("as_newest") == "true"
            ),
            "allow-budget": lambda form: allow_budget(self.lifecycle, form.get("tuning", "")),
            "cancel": lambda form: self.canceler.cancel(form.get("tuning", "")),
            "wake": lambda form: self._wake(_dataset(form)),
            "sleep": lambda form: self.keeper.sleep(_dataset(form)),
            "keep": lambda form: self.keeper.keep(_dataset(form), form.get("until") or "true"),
            "let-go": lambda form: self.keeper.keep(_dataset(form), "false"),
        }

    def _wake(self, dataset: str) -> None:
        standing = self.keeper.wake(dataset, BY_OPERATOR)
        if standing.situation in (Situation.UNKNOWN, Situation.NEVER_LIVE):
            raise PermanentError("NotFound", f"dataset {dataset} never had a live model")


def _dataset(form: Form) -> str:
    """Raises PermanentError for what can not be the name of one: it becomes the key of a row."""
    dataset = Listing.parse({"dataset": form.get("dataset", "")}).dataset
    if not dataset:
        raise PermanentError("BadRequest", "a dataset is missing")
    return dataset


def about(form: Form) -> str:
    """The path of the page that a form stood on."""
    if "dataset" in form:
        return "/endpoints"
    tuning = form.get("tuning", "")
    return f"/tunings/{tuning}" if names.is_tuning_id(tuning) else ""
