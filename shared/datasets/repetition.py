"""Which rows are the same: within a split, and across two.

Rows whose signatures differ are different, rows that are written alike are the same. Of what remains, one line
per way of writing is read once more (`second_look`) and compared in full.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from shared.datasets.row_table import NO_ID

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from shared.datasets.row_table import RowTable

    Look = Callable[[Mapping[int, int]], Mapping[int, int]]
    """From raw hashes by their lines to the full hashes of these conversations, by the raw ones."""

Pair = tuple[int, int]
_AT_ONCE = 250_000
"""Hashes that are put into one set: 75 bytes each, for a moment."""


def repeated_ids(table: RowTable) -> Iterator[Pair]:
    """Indexes of rows whose prompt_id came before, each with the row where it came first."""
    again = _repeated(table.prompt_ids)
    for indexes in _places(table.prompt_ids, again).values():
        for index in indexes[1:]:
            yield index, indexes[0]


def shared_ids(table: RowTable, other: RowTable) -> Iterator[Pair]:
    """Indexes of rows whose prompt_id `other` has as well, each with the row where that has it first."""
    both = _common(table.prompt_ids, other.prompt_ids)
    elsewhere = _places(other.prompt_ids, both)
    for value, indexes in _places(table.prompt_ids, both).items():
        for index in indexes:
            yield index, elsewhere[value][0]


def repeated_conversations(table: RowTable, look: Look) -> Iterator[Pair]:
    """Like repeated_ids. `look` is called at most once."""
    groups = _places(table.signatures, _repeated(table.signatures))
    unclear: dict[int, int] = {}
    for indexes in groups.values():
        _ask(table, indexes, {table.raws[index] for index in indexes}, unclear)
    full = look(unclear) if unclear else {}
    for indexes in groups.values():
        first: dict[int, int] = {}
        for index in indexes:
            raw = table.raws[index]
            before = first.setdefault(full.get(raw, raw), index)
            if before != index:
                yield index, before


def shared_conversations(table: RowTable, look: Look, other: RowTable, look_there: Look) -> Iterator[Pair]:
    """Like shared_ids. Each of both looks is taken at most once."""
    both = _common(table.signatures, other.signatures)
    here, there = _places(table.signatures, both), _places(other.signatures, both)
    unclear: dict[int, int] = {}
    unclear_there: dict[int, int] = {}
    for value in both:
        raws = {table.raws[index] for index in here[value]} | {other.raws[index] for index in there[value]}
        _ask(table, here[value], raws, unclear)
        _ask(other, there[value], raws, unclear_there)
    full = {**(look(unclear) if unclear else {}), **(look_there(unclear_there) if unclear_there else {})}
    for value in both:
        first: dict[int, int] = {}
        for index in there[value]:
            raw = other.raws[index]
            first.setdefault(full.get(raw, raw), index)
        for index in here[value]:
            raw = table.raws[index]
            if (found := first.get(full.get(raw, raw))) is not None:
                yield index, found


def _ask(table: RowTable, indexes: Iterable[int], raws: Collection[int], unclear: dict[int, int]) -> None:
    """Adds one line per way of writing, where there is more than one."""
    if len(raws) > 1:
        lines = {table.raws[index]: table.line(index) for index in indexes}
        unclear.update((line, raw) for raw, line in lines.items())


def _repeated(column: array[int]) -> set[int]:
    again: set[int] = set()
    passes = -(-len(column) // _AT_ONCE)
    for number in range(passes):
        part = column if passes == 1 else [value for value in column if value % passes == number]
        seen = set(part)
        if len(seen) == len(part):
            continue
        seen.clear()
        for value in part:
            (again if value in seen else seen).add(value)
    again.discard(NO_ID)
    return again


def _common(column: array[int], other: array[int]) -> set[int]:
    """Memory is taken for the shorter one."""
    short, long = sorted((column, other), key=len)
    both = set(short).intersection(long)
    both.discard(NO_ID)
    return both


def _places(column: array[int], values: Collection[int]) -> dict[int, list[int]]:
    """The indexes of each of these values."""
    found: dict[int, list[int]] = defaultdict(list)
    if values:
        for index, value in enumerate(column):
            if value in values:
                found[value].append(index)
    return found
