"""Route templates of HTTP triggers, as ASP.NET Core reads them: parameters, constraints, optional, catch-all.

Reference: https://learn.microsoft.com/aspnet/core/fundamentals/routing#route-constraints
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_PARAMETER = re.compile(r"\{(\*{0,2})(\w+)((?::[^{}:?=]+(?:\([^()]*\))?)*)(?:(\?)|=([^{}]*))?\}")
_CONSTRAINT = re.compile(r"(\w+)(?:\((.*)\))?")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
_DECIMAL = re.compile(r"[+-]?\d+(?:\.\d+)?")
_RESERVED = ("admin", "runtime")
Check = Callable[[str], bool]


class RouteError(Exception):
    """The host refuses the route template."""


@dataclass(frozen=True)
class Route:
    """`specificity` sorts routes: what sorts first is tried first."""

    template: str
    pattern: re.Pattern[str]
    checks: Mapping[str, tuple[Check, ...]]
    defaults: Mapping[str, str]
    specificity: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Route parameters of `path` (no slash at either end), or None. Literals match in any case."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        values = {name: value for name, value in found.groupdict().items() if value}
        for name, value in values.items():
            if not all(check(value) for check in self.checks[name]):
                return None
        return {**self.defaults, **values}


def parse_route(prefix: str, template: str) -> Route:
    """Raises RouteError."""
    template = template.strip("/")
    if template.split("/")[0].lower() in _RESERVED:
        raise RouteError(f"the route '{template}' starts with a reserved word ({', '.join(_RESERVED)})")
    full = "/".join(part for part in (prefix, template) if part)
    checks: dict[str, tuple[Check, ...]] = {}
    defaults: dict[str, str] = {}
    pattern = ""
    ranks = []
    for index, segment in enumerate(full.split("/") if full else ()):
        regex, optional, rank = _segment(segment, checks, defaults)
        slash = "/" if index else ""
        pattern += f"(?:{slash}{regex})?" if optional else slash + regex
        ranks.append(rank)
    return Route(full, re.compile(pattern, re.IGNORECASE | re.DOTALL), checks, defaults, tuple(ranks))


def _segment(segment: str, checks: dict[str, tuple[Check, ...]], defaults: dict[str, str]) -> tuple[str, bool, int]:
    """(regular expression, whether it may be absent, rank: 0 literal … 4 catch-all)."""
    regex = ""
    end = 0
    optional = False
    ranks = [0]
    for match in _PARAMETER.finditer(segment):
        stars, name, constraints, question, default = match.groups()
        if name in checks:
            raise RouteError(f"the route parameter '{name}' appears twice")
        checks[name] = tuple(_check(text) for text in constraints.split(":") if text)
        optional = optional or bool(question) or default is not None or bool(stars)
        if default is not None:
            defaults[name] = default
        regex += re.escape(segment[end : match.start()]) + f"(?P<{name}>{'.*' if stars else '[^/]+?'})"
        ranks.append(4 if stars else 2 if constraints else 3)
        end = match.end()
    rest = segment[end:]
    if "{" in rest or "}" in rest:
        raise RouteError(f"the route segment '{segment}' is not understood")
    return regex + re.escape(rest), optional, max(ranks)


def _check(text: str) -> Check:
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise RouteError(f"the route constraint '{text}' is not understood")
    name, arguments = match[1].lower(), match[2]
    if arguments is None:
        simple = _SIMPLE.get(name)
        if simple is not None:
            return simple
    elif name == "regex":
        return _matches(re.compile(arguments, re.IGNORECASE))
    elif name in _BOUNDED:
        return _BOUNDED[name](*_integers(text, arguments))
    raise RouteError(f"the route constraint '{text}' is not known")


def _integers(text: str, arguments: str) -> tuple[int, int]:
    try:
        numbers = [int(argument) for argument in arguments.split(",")]
    except ValueError as error:
        raise RouteError(f"the route constraint '{text}' needs whole numbers") from error
    return numbers[0], numbers[-1]


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: pattern.search(value) is not None


def _is_integer(bits: int) -> Check:
    def check(value: str) -> bool:
        try:
            number = int(value)
        except ValueError:
            return False
        return -(1 << (bits - 1)) <= number < 1 << (bits - 1)

    return check


def _is_decimal(value: str) -> bool:
    return _DECIMAL.fullmatch(value) is not None


_SIMPLE: Mapping[str, Check] = {
    "int": _is_integer(32),
    "long": _is_integer(64),
    "alpha": lambda value: value.isascii() and value.isalpha(),
    "bool": lambda value: value.lower() in ("true", "false"),
    "guid": lambda value: _GUID.fullmatch(value) is not None,
    "decimal": _is_decimal,
    "double": _is_decimal,
    "float": _is_decimal,
    "required": bool,
}
_BOUNDED: Mapping[str, Callable[[int, int], Check]] = {
    "length": lambda low, high: lambda value: low <= len(value) <= high,
    "minlength": lambda low, _: lambda value: len(value) >= low,
    "maxlength": lambda _, high: lambda value: len(value) <= high,
    "min": lambda low, _: lambda value: _is_integer(64)(value) and int(value) >= low,
    "max": lambda _, high: lambda value: _is_integer(64)(value) and int(value) <= high,
    "range": lambda low, high: lambda value: _is_integer(64)(value) and low <= int(value) <= high,
}
