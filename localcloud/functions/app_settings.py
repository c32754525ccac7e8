"""App settings: a flat JSON object that becomes the environment of the app, and the source of %NAME%."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_REFERENCE = re.compile(r"%([^%]+)%")


class SettingsError(Exception):
    """A file that the host was started with is missing or malformed."""


class UnresolvedSettingError(Exception):
    """A binding names an app setting that does not exist."""


def load_settings(file: Path) -> dict[str, str]:
    """Raises SettingsError unless the file holds one flat object of strings, numbers and booleans."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read the app settings {file}: {error}") from error
    if not isinstance(raw, dict):
        raise SettingsError(f"{file} must hold a flat JSON object of app settings")
    return {str(name): _text(file, str(name), value) for name, value in raw.items()}


def _text(file: Path, name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise SettingsError(f"{file}: the app setting {name} must be a string")


def expand(text: str, settings: Mapping[str, str]) -> str:
    """Replace each %NAME% by the app setting. Raises UnresolvedSettingError."""

    def value(match: re.Match[str]) -> str:
        found = settings.get(match[1])
        if found is None:
            raise UnresolvedSettingError(f"'%{match[1]}%' does not resolve to a value")
        return found

    return _REFERENCE.sub(value, text)
