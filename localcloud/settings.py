"""A settings file (TOML) as the configuration of a cloud that somebody starts for code of their own."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localcloud.config import (
    PRICES,
    CloudConfig,
    Compute,
    Durations,
    EventSubscription,
    Limits,
    RegistryComponent,
    RegistryModel,
    Scoring,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from localcloud.config import Ports

DEFAULT_MODEL = "Phi-3-tiny-local"
_TAGS = {"task": "chat-completion", "finetuning-tasks": "chat-completion"}

_OURS = frozenset({"state_dir", "ports", "identity_header"})
_TYPES = {field.name: str(field.type) for field in fields(CloudConfig) if field.name not in _OURS}
_SCALARS: dict[str, tuple[type, ...]] = {"bool": (bool,), "int | None": (int,), "float": (int, float)}


class SettingsError(ValueError):
    """The file says something that can not be set; the message says what and where."""


def read_settings(file: Path) -> dict[str, Any]:
    """The fields of CloudConfig that the file sets, by name. Raises SettingsError.

    A model's `path` is relative to the file. Without one, the model is built from nothing into the state folder.
    """
    try:
        given = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file} can not be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"{file} is not TOML: {error}") from error
    if unknown := sorted(set(given) - set(_TYPES)):
        raise SettingsError(f"{file}: {unknown[0]} is no setting. Settings are {', '.join(sorted(_TYPES))}.")
    folder = file.resolve().parent
    readers: dict[str, Callable[[Any], Any]] = {
        "models": lambda items: tuple(_model(item, folder) for item in items),
        "computes": lambda items: tuple(Compute(**item) for item in items),
        "event_subscriptions": lambda items: tuple(map(_subscription, items)),
        "components": lambda items: tuple(_component(item) for item in items),
        "custom_topics": tuple,
        "prices": lambda prices: {**PRICES, **{size: float(price) for size, price in prices.items()}},
        "scoring": lambda given: Scoring(**given),
        "durations": _durations,
        "limits": Limits.parse,
    }
    found = {}
    for name, value in given.items():
        try:
            found[name] = readers[name](value) if name in readers else _scalar(_TYPES[name], value)
        except (TypeError, ValueError, KeyError) as error:
            raise SettingsError(f"{file}: {name}: {error}") from error
    return found


def configuration(state_dir: Path, ports: Ports, identity_header: str, settings: Mapping[str, Any]) -> CloudConfig:
    """`settings` as read_settings gives them. Without models, the registry has one that is built from nothing."""
    default = (RegistryModel(DEFAULT_MODEL, "1", _built(DEFAULT_MODEL, "1"), _TAGS),)
    return CloudConfig(
        state_dir=str(state_dir),
        ports=ports,
        identity_header=identity_header,
        **{"models": default, **settings},
    )


def _model(item: Mapping[str, Any], folder: Path) -> RegistryModel:
    name, version = str(item["name"]), str(item.get("version", "1"))
    path = str(folder / item["path"]) if "path" in item else _built(name, version)
    if "path" in item and not Path(path).is_dir():
        raise ValueError(f"{path} is not a folder.")
    tags = {tag: str(value) for tag, value in item.get("tags", _TAGS).items()}
    return RegistryModel(**{**item, "name": name, "version": version, "path": path, "tags": tags})


def _built(name: str, version: str) -> str:
    """Relative to the state folder."""
    return f"registry/{name}/{version}"


def _durations(given: Mapping[str, Any]) -> Durations:
    """`scale` multiplies those that are not named."""
    named = {name: float(seconds) for name, seconds in given.items() if name != "scale"}
    return Durations(**{**asdict(Durations().scaled(float(given.get("scale", 1)))), **named})


def _subscription(item: Mapping[str, Any]) -> EventSubscription:
    return EventSubscription.of({"event_types": [], "advanced_filters": [], **item})


def _component(item: Mapping[str, Any]) -> RegistryComponent:
    return RegistryComponent(**{**item, "command": tuple(item["command"])})


def _scalar(kind: str, value: Any) -> Any:
    """Raises TypeError. To Python, but not to who writes a settings file, true is a number."""
    allowed = _SCALARS[kind]
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise TypeError(f"{value!r} is no {kind}.")
    return value
