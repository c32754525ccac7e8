"""`tuning.json`, the optional settings of one version of a dataset."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shared.datasets.json_object import StrictObject, parse_json_object
from shared.datasets.promotion import CanarySettings, SmokeExpectations, contradictions, parse_canary, parse_smoke
from shared.errors import InvalidDatasetError
from shared.idle.hours import FORM, WeeklyHours
from shared.idle.policy import MAX_MINUTES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.datasets.limits import Limits

Parameter = str | int | float | bool

MAX_INSTANCES = 50
"""Managed online endpoints have at most 50 instances per deployment."""

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,254}"
_VERSION = r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,29}"
_INSTANCE_TYPE = r"[A-Za-z][A-Za-z0-9_]{0,63}"


@dataclass(frozen=True, slots=True)
class IdleSettings:
    """How long its endpoint may be unused while this version is live; see shared.idle.policy.

    They say nothing about the model, so they are not part of a tuning's identity: with other ones, the same content
    goes on as the same tuning.
    """

    after_minutes: float | None = None
    grace_minutes: float | None = None
    keep_hours: str | None = None
    awake: str | None = None
    """Hours in which its endpoint is kept, and before which it is woken."""


@dataclass(frozen=True, slots=True)
class TuningFile:
    """What is None comes from the app's settings. `parameters` are checked against the component later."""

    base_model: str | None = None
    base_model_version: str | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    finetune_instance_type: str | None = None
    inference_instance_type: str | None = None
    instance_count: int | None = None
    smoke: SmokeExpectations = field(default_factory=SmokeExpectations)
    canary: CanarySettings = field(default_factory=CanarySettings)
    idle: IdleSettings = field(default_factory=IdleSettings)


def parse_tuning_file(data: bytes) -> TuningFile:
    """Raises InvalidDatasetError "InvalidTuningFile", which names everything that is wrong at once."""
    problems: list[str] = []
    root = StrictObject(parse_json_object(data, problems), "", problems)
    smoke, canary, idle = root.nested("smoke"), root.nested("canary"), root.nested("idle")
    file = TuningFile(
        base_model=root.text("base_model", pattern=_NAME, form="a model name like Phi-4"),
        base_model_version=root.text("base_model_version", pattern=_VERSION, form='a version in quotes like "8"'),
        parameters=root.scalars("parameters"),
        finetune_instance_type=_instance_type(root, "finetune_instance_type"),
        inference_instance_type=_instance_type(root, "inference_instance_type"),
        instance_count=root.integer("instance_count", minimum=1, maximum=MAX_INSTANCES),
        smoke=parse_smoke(smoke),
        canary=parse_canary(canary),
        idle=IdleSettings(
            after_minutes=idle.number("after_minutes", above=0, maximum=MAX_MINUTES),
            grace_minutes=idle.number("grace_minutes", above=0, maximum=MAX_MINUTES),
            keep_hours=idle.checked("keep_hours", form=FORM, check=WeeklyHours.parse),
            awake=idle.checked("awake", form=FORM, check=WeeklyHours.parse),
        ),
    )
    smoke.refuse_unknown()
    canary.refuse_unknown()
    idle.refuse_unknown()
    root.refuse_unknown()
    problems.extend(contradictions(file.smoke))
    if problems:
        raise InvalidDatasetError("InvalidTuningFile", f"tuning.json: {'; '.join(problems)}.")
    return file


def canonical(file: TuningFile) -> bytes:
    """The same bytes for the same settings, however they were written: for the fingerprint of a tuning.

    What is not set is left out, so that a setting that is new in the app makes no new tunings of old files.
    """
    settings = _set(asdict(file))
    settings.pop("idle", None)
    settings["parameters"] = {name: _plain(value) for name, value in file.parameters.items()}
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None or empty, at every level."""
    found = {name: _set(value) if isinstance(value, dict) else value for name, value in settings.items()}
    return {name: value for name, value in found.items() if value not in (None, (), {})}


def sequence_length(file: TuningFile, limits: Limits) -> Limits:
    """The limits with the `max_seq_length` that the version asks for, if it asks for a length at all.

    The component reads -1 as: as much as the model takes.
    """
    wanted = file.parameters.get("max_seq_length")
    if isinstance(wanted, bool) or not isinstance(wanted, int) or wanted < 1:
        return limits
    return replace(limits, max_seq_length=wanted)


def _plain(value: Parameter) -> Parameter:
    """3.0 and 3 ask for the same."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _instance_type(root: StrictObject, key: str) -> str | None:
    return root.text(key, pattern=_INSTANCE_TYPE, form="an instance type like Standard_NC24ads_A100_v4")
