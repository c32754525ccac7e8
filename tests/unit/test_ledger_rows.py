"""How rows of the ledger are decoded."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
from shared.lifecycle import ledger, records, job_slots, tuning
rows = (tuning.Tuning, tuning.Split, tuning.HistoryEntry, tuning.Reason, tuning.SmokeResult, records.DatasetVersion)
rows += (records.EndpointRecord, job_slots.JobSlots, job_slots.Waiter, tuning.MinuteOfRequests, tuning.Figures)
print(*[row.__name__ for row in rows if "__msgspec_cache__" not in vars(row)])
"""


def test_what_msgspec_knows_of_a_row_is_built_at_import_and_not_by_two_threads_at_once() -> None:
    """Threads that decode a dataclass for the first time at the same time can crash the process (msgspec 0.22):
    eight of them did in one of ten runs.
    """
    answer = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []
