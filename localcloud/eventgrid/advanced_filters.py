"""Advanced filters of event subscriptions: the operators, and Azure's limits on them.

https://learn.microsoft.com/azure/event-grid/event-filtering
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.config import AdvancedFilter
    from localcloud.eventgrid.events import Event

MAX_FILTERS = 25
MAX_VALUES = 25
"""Over all filters of a subscription."""
MAX_LENGTH = 512
"""Characters of one value."""

_Test = Callable[[Any, Any], bool]

_NUMBERS: dict[str, _Test] = {
    "NumberIn": lambda key, value: bool(key == value),
    "NumberNotIn": lambda key, value: bool(key == value),
    "NumberLessThan": lambda key, value: bool(key < value),
    "NumberGreaterThan": lambda key, value: bool(key > value),
    "NumberLessThanOrEquals": lambda key, value: bool(key <= value),
    "NumberGreaterThanOrEquals": lambda key, value: bool(key >= value),
    "NumberInRange": lambda key, value: bool(value[0] <= key <= value[1]),
    "NumberNotInRange": lambda key, value: bool(value[0] <= key <= value[1]),
}
_STRINGS: dict[str, _Test] = {
    "StringContains": lambda key, value: value in key,
    "StringNotContains": lambda key, value: value in key,
    "StringBeginsWith": lambda key, value: bool(key.startswith(value)),
    "StringNotBeginsWith": lambda key, value: bool(key.startswith(value)),
    "StringEndsWith": lambda key, value: bool(key.endswith(value)),
    "StringNotEndsWith": lambda key, value: bool(key.endswith(value)),
    "StringIn": lambda key, value: bool(key == value),
    "StringNotIn": lambda key, value: bool(key == value),
}
_BOOLEAN = "BoolEquals"
_NULLS = ("IsNullOrUndefined", "IsNotNull")
_RANGES = ("NumberInRange", "NumberNotInRange")
_ONE_VALUE = (
    *("NumberLessThan", "NumberGreaterThan", "NumberLessThanOrEquals", "NumberGreaterThanOrEquals"),
    _BOOLEAN,
)
_ABSENT_MATCHES = ("NumberNotIn", "NumberNotInRange", "StringNotIn")
"""Of the operators that negate, these match an event without the key, the others do not. NumberNotInRange is in
neither of the documentation's lists; here it is as NumberNotIn."""

_MISSING = object()


def matches(advanced: AdvancedFilter, event: Event, *, arrays: bool) -> bool:
    """Whether any value (for operators that negate: no value) fits the key's value in the event.

    Keys may be those of either schema. With `arrays`, each element of an array is looked at; what has another
    type than the filter's values is ignored.
    """
    found = _found(event, advanced.key)
    operator = advanced.operator
    if operator in _NULLS:
        return (found is _MISSING or found is None) is (operator == "IsNullOrUndefined")
    if found is _MISSING or found is None:
        return operator in _ABSENT_MATCHES
    elements = found if arrays and isinstance(found, list) else [found]
    test, fits = _test_of(operator)
    values = [value.lower() if isinstance(value, str) else value for value in advanced.values]
    keys = [key for key in map(fits, elements) if key is not None]
    return any(test(key, value) for key in keys for value in values) is ("Not" not in operator)


def check(filters: Sequence[AdvancedFilter]) -> None:
    """Raises ValueError for what Azure refuses."""
    if len(filters) > MAX_FILTERS:
        raise ValueError(f"a subscription has at most {MAX_FILTERS} advanced filters, not {len(filters)}")
    if (count := sum(len(advanced.values) for advanced in filters)) > MAX_VALUES:
        raise ValueError(f"the advanced filters of a subscription have at most {MAX_VALUES} values, not {count}")
    for advanced in filters:
        _check(advanced)


def _check(advanced: AdvancedFilter) -> None:
    operator, values = advanced.operator, advanced.values
    if not advanced.key:
        raise ValueError(f"an advanced filter {operator} has no key")
    if operator not in (*_NUMBERS, *_STRINGS, _BOOLEAN, *_NULLS):
        raise ValueError(f"advanced filters have no operator {operator}")
    if operator in _NULLS:
        if values:
            raise ValueError(f"{operator} on {advanced.key} takes no values")
        return
    if not values or (operator in _ONE_VALUE and len(values) != 1):
        raise ValueError(f"{operator} on {advanced.key} takes {'one value' if operator in _ONE_VALUE else 'values'}")
    if not all(_is_allowed(operator, value) for value in values):
        raise ValueError(f"{operator} on {advanced.key} has a value of a wrong type, or a string too long")


def _is_allowed(operator: str, value: object) -> bool:
    if operator in _RANGES:
        pair = isinstance(value, Sequence) and len(value) == 2 and all(_number(bound) is not None for bound in value)
        return pair and value[0] <= value[1]  # type: ignore[index]  # `pair` says that it is one
    if operator in _NUMBERS:
        return _number(value) is not None
    if operator == _BOOLEAN:
        return isinstance(value, bool)
    return isinstance(value, str) and len(value) <= MAX_LENGTH


def _test_of(operator: str) -> tuple[_Test, Callable[[object], Any]]:
    if operator in _NUMBERS:
        return _NUMBERS[operator], _number
    if operator == _BOOLEAN:
        return (lambda key, value: key is value), lambda key: key if isinstance(key, bool) else None
    return _STRINGS[operator], lambda key: key.lower() if isinstance(key, str) else None


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _found(event: Event, key: str) -> Any:
    first, *rest = key.split(".")
    envelope = {
        "id": event.id,
        "topic": event.source,
        "source": event.source,
        "subject": event.subject,
        "eventtype": event.type,
        "type": event.type,
        "dataversion": event.data_version,
        "specversion": "1.0",
        "data": event.data,
        **{name.lower(): value for name, value in event.attributes.items()},
    }
    value = envelope.get(first.lower(), _MISSING)
    for name in rest:
        value = value.get(name, _MISSING) if isinstance(value, Mapping) else _MISSING
    return value
