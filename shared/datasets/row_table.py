"""What is remembered of each row: fixed-width columns, to find what stands in a dataset twice."""

from __future__ import annotations

from array import array

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
        self.lines = array("I")
        self.offsets = array("Q")
        self.signatures = array("q")
        self.raws = array("Q")
        self.prompt_ids = array("q")
        """Empty while no row has one."""

    def __len__(self) -> int:
        return len(self.lines)

    def add(
        self,
        first_line: int,
        offsets: list[int],
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
            offsets, signatures, digests = offsets[:count], signatures[:count], digests[: 16 * count]
            prompt_ids = prompt_ids and prompt_ids[:count]
        self.lines.fromlist(list(range(first_line, first_line + count)))
        self.offsets.fromlist(offsets)
        self.signatures.fromlist(signatures)
        self.raws.extend(array("Q", digests)[::2])
        if prompt_ids:
            self.prompt_ids.fromlist(prompt_ids)
