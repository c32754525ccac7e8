"""The thresholds of validation on a laptop: those of the app settings that are set here, else the defaults."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from shared.config import Settings, setting_name
from shared.datasets.thresholds import limits_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.datasets.limits import Limits


def thresholds(environment: Mapping[str, str]) -> Limits:
    """Raises ConfigurationError for a malformed setting. Settings that say where things are in Azure may be absent."""
    required = [item for item in dataclasses.fields(Settings) if item.default is dataclasses.MISSING]
    placeholders = {setting_name(item): "-" for item in required}
    return limits_of(Settings.from_environment({**placeholders, **environment}))
