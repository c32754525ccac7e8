"""Looking up what the pages show: bounded, however many tunings there are."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import names
from shared.dashboard.documents import smoke_test, validation
from shared.dashboard.views import Board, Collecting, TuningView
from shared.lifecycle.deadlines import deadline, stage_deadlines
from shared.lifecycle.decide import waiting_for_slot
from shared.lifecycle.examine import missing_splits
from shared.lifecycle.intake import due
from shared.lifecycle.listing import MAX_LIMIT, Listing, Place
from shared.lifecycle.smoke_stage import RESULT_FILE
from shared.lifecycle.tuning import ENDED, UNFINISHED, State

if TYPE_CHECKING:
    from shared.dashboard.training import Training
    from shared.lifecycle.engine import Lifecycle
    from shared.lifecycle.records import DatasetVersion
    from shared.lifecycle.tuning import Tuning

_SHOWN = 100
"""Rows of each part of the board."""
_LISTED = 50
"""Rows of a page of what ended, or of what a filter takes."""


@dataclass(frozen=True)
class Look:
    lifecycle: Lifecycle
    training: Training

    def board(self, query: Mapping[str, str]) -> Board:
        """Raises PermanentError "BadRequest" for parameters that can not be meant."""
        ledger, settings = self.lifecycle.ledger, self.lifecycle.settings
        asked = replace(Listing.parse({name: value for name, value in query.items() if name != "limit"}), limit=_LISTED)
        state = next(iter(asked.states)) if len(asked.states) == 1 else None
        board = Board(
            dataset=asked.dataset,
            state=state,
            later=asked.after is not None,
            counts=self._counts(asked.dataset),
            deadlines=stage_deadlines(settings),
        )
        if not board.filtered:
            asked = replace(asked, states=ENDED)
        found = ledger.page(replace(asked, limit=_LISTED + 1))
        listed = tuple(found[:_LISTED])
        following = Place.of(listed[-1]).continuation() if len(found) > _LISTED else ""
        versions = list(ledger.collecting())
        board = replace(board, listed=listed, next=following, collecting_in_all=len(versions))
        if board.filtered or board.later:
            return board
        return replace(
            board,
            collecting=tuple(
                self._collecting(version)
                for version in heapq.nlargest(_SHOWN, versions, key=lambda version: version.changed_at)
            ),
            slots=ledger.job_slots().value,
            max_active_jobs=settings.max_active_jobs,
            under_way=tuple(ledger.page(Listing(limit=_SHOWN, states=UNFINISHED))),
            live=tuple(ledger.page(Listing(limit=_SHOWN, states=frozenset({State.LIVE})))),
        )

    def tuning(self, tuning_id: str) -> TuningView | None:
        row = self.lifecycle.ledger.tuning(tuning_id) if names.is_tuning_id(tuning_id) else None
        if row is None:
            return None
        tuning, blobs = row.value, self.lifecycle.blobs
        costs = (cost.value for cost in self.lifecycle.ledger.costs(tuning.dataset))
        return TuningView(
            tuning=tuning,
            waiting_for=self._waiting_for(tuning),
            deadline=deadline(tuning, stage_deadlines(self.lifecycle.settings)),
            validation=validation(blobs.read_report(tuning_id)),
            smoke=smoke_test(blobs.read_snapshot(tuning_id, RESULT_FILE)),
            curves=self.training.curves(tuning),
            costs=tuple(cost for cost in costs if cost.tuning == tuning_id),
        )

    def _counts(self, dataset: str) -> Mapping[State, int]:
        ledger = self.lifecycle.ledger
        if not dataset:
            return ledger.counts()
        return Counter(tuning.state for tuning in ledger.page(Listing(dataset=dataset, limit=MAX_LIMIT)))

    def _waiting_for(self, tuning: Tuning) -> str:
        if tuning.state is not State.QUEUED:
            return tuning.waiting_for
        slots = self.lifecycle.ledger.job_slots().value
        return waiting_for_slot(slots.seen_by(tuning, self.lifecycle.settings.max_active_jobs))

    def _collecting(self, version: DatasetVersion) -> Collecting:
        missing = tuple(f"{split}.jsonl" for split in missing_splits(version))
        return Collecting(version, missing, due(version, self.lifecycle.settings))
