"""What is remembered of each row: fixed-width columns, to find what stands in a dataset twice."""

from __future__ import annotations

from array import array
from bisect import bisect_right

NO_ID = 0
"""Stands for a row without prompt_id (or with an empty one, whose hash it is)."""


class RowTable:
    """The first `capacity` valid rows of a split, 36 bytes each.

    A row's `signature` is the same for the same conversation however it is written, but not only for it; `raws`
    are hashes of the lines as they are written. Python's hashes are salted: tables can be compared within one
    process only.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._run_rows = array("I")
        self._run_lines = array("I")
        """Where rows begin that are on consecutive lines: the index of the first, and its line."""
        self.offsets = array("Q")
        self.sizes = array("I")
        """Bytes of the lines, with their ends."""
        self.signatures = array("q")
        self.raws = array("Q")
        self.prompt_ids = array("q")
        """Empty while no row has one."""

    def __len__(self) -> int:
        return len(self.offsets)

    def line(self, index: int) -> int:
        """The number of the row's line."""
        run = bisect_right(self._run_rows, index) - 1
        return self._run_lines[run] + index - self._run_rows[run]

    def add(
        self,
        first_line: int,
        offsets: list[int],
        sizes: list[int],
        signatures: list[int],
        digests: bytes,
        prompt_ids: list[int] | None,
    ) -> None:
        """Columns of rows on consecutive lines; `digests` has 16 bytes for each, `prompt_ids` NO_ID for no id."""
        count = min(len(signatures), self._capacity - len(self))
        if count <= 0:
            return
        if prompt_ids is not None and not self.prompt_ids:
            self.prompt_ids.extend([NO_ID] * len(self))
        elif prompt_ids is None and self.prompt_ids:
            prompt_ids = [NO_ID] * count
        if count < len(signatures):
            offsets, sizes, signatures = offsets[:count], sizes[:count], signatures[:count]
            digests, prompt_ids = digests[: 16 * count], prompt_ids and prompt_ids[:count]
        if not self._run_rows or self.line(len(self) - 1) + 1 != first_line:
            self._run_rows.append(len(self))
            self._run_lines.append(first_line)
        self.offsets.fromlist(offsets)
        self.sizes.fromlist(sizes)
        self.signatures.fromlist(signatures)
        self.raws.extend(array("Q", digests)[::2])
        if prompt_ids:
            self.prompt_ids.fromlist(prompt_ids)
