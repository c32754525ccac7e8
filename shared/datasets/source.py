"""One split as it was uploaded, to be read from its beginning as often as needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.datasets.gzip_stream import expanded
from shared.datasets.limits import rules_for
from shared.datasets.second_look import full_hashes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.datasets.blocks import Chunk
    from shared.datasets.limits import Limits


@dataclass(frozen=True, slots=True)
class Source:
    """`data` must give the same bytes each time that it is iterated: a list or a file, not a generator.

    With `compressed` they are a gzip file. A chunk is used up when the next one is asked for.
    """

    split: str
    data: Iterable[Chunk]
    compressed: bool = False

    def __post_init__(self) -> None:
        if iter(self.data) is self.data:
            raise TypeError("a split is read more than once, so it can not be an iterator")

    def chunks(self, limits: Limits) -> Iterable[Chunk]:
        """Raises BadArchiveError, and what `data` raises."""
        if not self.compressed:
            return self.data
        return expanded(self.data, max_bytes=limits.max_expanded_bytes, max_ratio=limits.max_expansion)

    def look_again(self, raws: Mapping[int, int], limits: Limits) -> Mapping[int, int]:
        """Full hashes of the conversations on these lines; see `second_look`."""
        return full_hashes(self.chunks(limits), raws, rules_for(self.split), limits)
