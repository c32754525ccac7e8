"""Single lines of a snapshot by its line index: two reads of a few bytes each, whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.datasets.line_index import ENTRY_BYTES, place_of
from shared.errors import PermanentError

if TYPE_CHECKING:
    from shared.blobs import Blobs


@dataclass(frozen=True)
class SnapshotLines:
    """`index_file` belongs to `file`, both lie in the tuning's folder."""

    blobs: Blobs
    tuning_id: str
    file: str
    index_file: str

    def count(self) -> int:
        """Raises PermanentError (NoSample) if the index is gone."""
        size = self.blobs.snapshot_size(self.tuning_id, self.index_file)
        if not size:
            raise self._gone(self.index_file)
        return size // ENTRY_BYTES

    def read(self, number: int) -> bytes:
        """The line of this number in the index, from 0. Raises PermanentError (NoSample) if a file is gone."""
        raw = self.blobs.read_snapshot_range(self.tuning_id, self.index_file, number * ENTRY_BYTES, ENTRY_BYTES)
        if raw is None or len(raw) != ENTRY_BYTES:
            raise self._gone(self.index_file)
        offset, size = place_of(raw)
        line = self.blobs.read_snapshot_range(self.tuning_id, self.file, offset, size)
        if line is None or len(line) != size:
            raise self._gone(self.file)
        return line

    def _gone(self, file: str) -> PermanentError:
        return PermanentError("NoSample", f"{file} of the tuning is gone; upload the dataset anew")
