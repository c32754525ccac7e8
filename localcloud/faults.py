"""Rules by which calls and events go wrong, and which of them hits what. Performing them is injection's task."""

from __future__ import annotations

import fnmatch
import hashlib
import itertools
import json
import re
from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


class FaultError(Exception):
    """What was given is no rule; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Chance:
    """How often a rule hits what it matches: never the first `skip`, then `times` in all, None for ever.

    With a `probability` the n-th request for one thing is decided by the rule, its `seed` and n alone: the same
    client gets the same faults however its threads interleave. Without one every match is hit, once unless
    `times` says otherwise.
    """

    probability: float | None = None
    times: int | None = None
    skip: int = 0
    seed: int = 0

    @property
    def limit(self) -> int | None:
        return 1 if self.times is None and self.probability is None else self.times


@dataclass(frozen=True, kw_only=True)
class CallRule(Chance):
    """A fault of calls: of an `operation` (its name, or a pattern such as `OnlineDeployments_*`), of a `method`,
    of a `path` (a regular expression, searched); all that are given must match.

    First the work is done, if `after_commit`; then `delay` seconds pass; then one of these happens, or else the
    request is answered as usual:

    - `crash`: the server process ends as by kill -9
    - `drop`: the connection is closed without an answer; with `trickle`, in the middle of it
    - `status` is answered, with `headers` and `body`
    - `trickle`: the true answer comes in small pieces, over so many seconds
    """

    operation: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    delay: float = 0.0
    drop: bool = False
    trickle: float = 0.0
    crash: bool = False
    after_commit: bool = False

    def matches(self, operation: str, method: str, path: str) -> bool:
        return (
            (self.method is None or self.method.upper() == method)
            and (self.operation is None or fnmatch.fnmatchcase(operation, self.operation))
            and (self.path is None or re.search(self.path, path) is not None)
        )

    def answer(self) -> bytes:
        if isinstance(self.body, str):
            return self.body.encode()
        content = self.body
        if content is None:
            content = {"error": {"code": "InjectedFault", "message": f"Injected fault {self.status}."}}
        return json.dumps(content).encode()


@dataclass(frozen=True, kw_only=True)
class EventRule(Chance):
    """A fault of events whose type matches the pattern `event` and whose subject the regular expression `subject`.

    The event is lost (`lose`), delivered 1 + `duplicate` times, after `delay` seconds; `reorder`: each delivery
    after up to so many seconds more, so that later events overtake.
    """

    event: str
    subject: str = ""
    lose: bool = False
    duplicate: int = 0
    delay: float = 0.0
    reorder: float = 0.0

    def matches(self, event_type: str, subject: str) -> bool:
        return fnmatch.fnmatchcase(event_type, self.event) and re.search(self.subject, subject) is not None


@dataclass(frozen=True)
class EventFate:
    """`delays`: seconds before each delivery to a subscription; empty when the event is lost."""

    delays: tuple[float, ...] = (0.0,)


@dataclass
class _Active:
    """A rule with what became of it. `number` tells rules apart in the request log."""

    rule: CallRule | EventRule
    number: int
    matched: int = 0
    hits: int = 0
    asked: Counter[str] = field(default_factory=Counter)

    @property
    def is_spent(self) -> bool:
        return self.rule.limit is not None and self.hits >= self.rule.limit

    def decide(self, thing: str) -> bool:
        """Whether the rule, which matches, hits."""
        self.matched += 1
        if self.is_spent or self.matched <= self.rule.skip:
            return False
        self.asked[thing] += 1
        if self.rule.probability is not None and self.draw(thing) >= self.rule.probability:
            return False
        self.hits += 1
        return True

    def draw(self, thing: str, purpose: str = "") -> float:
        """In [0, 1), by the rule with its seed, the thing, and how often it was asked."""
        text = f"{self.rule}/{purpose}/{thing}/{self.asked[thing]}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest(), "big") / (1 << 56)

    def shown(self) -> dict[str, Any]:
        given = {f.name: getattr(self.rule, f.name) for f in fields(self.rule) if f.name != "headers"}
        left = None if self.rule.limit is None else self.rule.limit - self.hits
        state = {"number": self.number, "matched": self.matched, "hits": self.hits, "left": left}
        changed = {name: value for name, value in given.items() if value not in (None, False, "", 0, 0.0)}
        return {**state, **changed, **({"headers": dict(self.rule.headers)} if isinstance(self.rule, CallRule) else {})}


class Faults:
    """The rules in the order in which they were added; the first that hits is the one that happens."""

    def __init__(self) -> None:
        self._active: list[_Active] = []
        self._numbers = itertools.count(1)

    def add(self, given: Sequence[object]) -> None:
        """All of them or none. Raises FaultError."""
        rules = [parse_rule(item) for item in given]
        self._active += [_Active(rule, next(self._numbers)) for rule in rules]

    def clear(self) -> None:
        self._active.clear()

    def shown(self) -> list[dict[str, Any]]:
        """Those that can still hit."""
        return [active.shown() for active in self._active if not active.is_spent]

    def of_call(self, operation: str, method: str, path: str) -> tuple[int, CallRule] | None:
        """The rule that hits this request, with its number."""
        for active in self._active:
            rule = active.rule
            if not isinstance(rule, CallRule) or not rule.matches(operation, method, path):
                continue
            if active.decide(f"{method} {_UUID.sub('*', path)}"):
                return active.number, rule
        return None

    def of_event(self, event_type: str, subject: str) -> EventFate:
        """What happens to an event that Event Grid has just accepted."""
        for active in self._active:
            rule = active.rule
            if not isinstance(rule, EventRule) or not rule.matches(event_type, subject):
                continue
            thing = f"{event_type} {_UUID.sub('*', subject)}"
            if not active.decide(thing):
                continue
            if rule.lose:
                return EventFate(())
            copies = range(1 + rule.duplicate)
            return EventFate(tuple(rule.delay + rule.reorder * active.draw(thing, f"copy {n}") for n in copies))
        return EventFate()


def parse_rule(given: object) -> CallRule | EventRule:
    """Raises FaultError."""
    if not isinstance(given, dict):
        raise FaultError("A rule is an object.")
    kind = EventRule if "event" in given else CallRule
    try:
        rule: CallRule | EventRule = kind(**given)
        _check(rule)
    except (TypeError, re.error) as error:
        raise FaultError(str(error)) from error
    return rule


def _check(rule: CallRule | EventRule) -> None:
    """Raises FaultError, TypeError or re.error."""
    texts = [getattr(rule, name, None) for name in ("operation", "method", "path", "event", "subject")]
    if not all(text is None or isinstance(text, str) for text in texts):
        raise FaultError("operation, method, path, event and subject are texts.")
    if rule.probability is not None and not 0 <= rule.probability <= 1:
        raise FaultError("probability is a number from 0 to 1.")
    amounts = {"times": rule.times or 0, "skip": rule.skip, "delay": rule.delay}
    if isinstance(rule, EventRule):
        re.compile(rule.subject)
        amounts |= {"duplicate": rule.duplicate, "reorder": rule.reorder}
        if not (rule.lose or rule.duplicate or rule.delay or rule.reorder):
            raise FaultError("An event rule has at least one of lose, duplicate, delay, reorder.")
    else:
        if rule.operation is rule.method is rule.path is None:
            raise FaultError("A rule has at least one of operation, method, path, event.")
        re.compile(rule.path or "")
        if not isinstance(rule.headers, dict) or not all(isinstance(value, str) for value in rule.headers.values()):
            raise FaultError("headers is an object of texts.")
        amounts["trickle"] = rule.trickle
        if rule.status is not None and not 200 <= rule.status <= 599:
            raise FaultError("status is a number from 200 to 599.")
        if sum((rule.crash, rule.status is not None, rule.drop or rule.trickle > 0)) > 1:
            raise FaultError("Only one of status, crash, and drop or trickle can happen.")
    if negative := [name for name, value in amounts.items() if value < 0]:
        raise FaultError(f"{', '.join(negative)} must not be negative.")
