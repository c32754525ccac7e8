"""The conversations of a block of rows as flat columns: what is asked of each message is then asked in one go."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, chain, pairwise
from operator import itemgetter, sub
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.datasets.rows import AnyMessage, AnyRow

Shape = tuple[str, ...]
"""The roles of a conversation, in order."""


class Conversations:
    """`counts` has the messages of each row, `roles` and `texts` are those of all messages, one after another."""

    def __init__(self, rows: Sequence[AnyRow]) -> None:
        each = [row.messages for row in rows]
        messages: list[AnyMessage] = list(chain.from_iterable(each))
        self.counts = list(map(len, each))
        self.roles: list[str] = [message.role for message in messages]
        self.texts = [message.content for message in messages]
        self.take_turns = self._take_turns()
        """Whether all of them go user, assistant, user, assistant: nearly every split does, throughout."""
        self._bounds = list(accumulate(self.counts, initial=0))

    def shapes(self) -> set[Shape]:
        return {tuple(self.roles[begin:end]) for begin, end in pairwise(self._bounds)}

    def role_counts(self) -> Mapping[str, int]:
        if self.take_turns:
            return dict.fromkeys(("user", "assistant"), len(self.roles) // 2)
        return Counter(self.roles)

    def any_blank(self) -> bool:
        """Whether a message holds nothing but white space."""
        return any(map(str.isspace, self.texts))

    def characters(self) -> list[int]:
        """Of each row."""
        sums = list(accumulate(map(len, self.texts), initial=0))
        ends = itemgetter(*self._bounds)(sums)
        return list(map(sub, ends[1:], ends))

    def firsts(self) -> list[str]:
        """The first message of each; no row is empty."""
        return list(map(self.texts.__getitem__, self._bounds[:-1]))

    def lasts(self) -> list[str]:
        return [self.texts[end - 1] for end in self._bounds[1:]]

    def _take_turns(self) -> bool:
        roles, half = self.roles, len(self.roles) // 2
        return (
            0 not in self.counts
            and not any(map((1).__and__, self.counts))
            and roles[::2].count("user") == half
            and roles[1::2].count("assistant") == half
        )
