"""What a base model in the registry says about itself: defaults, tasks and instance types.

Models carry this in tags, whose values are Python literals as strings, or in properties, whose values are
lists separated by commas (https://github.com/Azure/azureml-assets, assets/models/system/*/spec.yaml).
"""

from __future__ import annotations

import ast
import threading
import warnings
from typing import TYPE_CHECKING, Literal

from shared.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

_warnings_lock = threading.Lock()
"""catch_warnings swaps a list of the whole process."""

MAX_TAG_CHARACTERS = 64 * 1024
TASK = "chat-completion"

_DEFAULTS_TAG = "model_specific_defaults"
_TASK_KEYS = ("finetuning-tasks", "fineTuningTasks")


def literal_tag(tags: Mapping[str, str], name: str) -> object | None:
    """The value of a tag that holds a Python literal, or None when it is absent, blank or None.

    Raises PermanentError "MalformedModelTag" for anything that is not a literal, is longer than
    MAX_TAG_CHARACTERS or is nested too deeply for Python's parser.
    """
    text = tags.get(name, "").strip()
    if not text:
        return None
    if len(text) > MAX_TAG_CHARACTERS:
        raise _malformed(name, f"it has {len(text)} characters, at most {MAX_TAG_CHARACTERS} are read")
    try:
        value: object = _literal(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise _malformed(name, f"it is not a Python literal ({type(error).__name__})") from error
    return value


def _literal(text: str) -> object:
    """Without the compiler's warnings: it writes one for each of thousands of mistakes to the log, quoting none."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.literal_eval(text)


def model_specific_defaults(tags: Mapping[str, str]) -> dict[str, object]:
    """Fine-tune parameters that the model wants; empty when it has no wishes. Raises as `literal_tag`."""
    value = literal_tag(tags, _DEFAULTS_TAG)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _malformed(_DEFAULTS_TAG, "it is not a dictionary with names as keys")
    return value


def allow_list(
    tags: Mapping[str, str], properties: Mapping[str, str], kind: Literal["finetune", "inference"]
) -> tuple[str, ...] | None:
    """Instance types on which the model may be fine-tuned or served; None when it does not say.

    The tag decides; without it the recommended types of the properties are taken. Raises as `literal_tag`.
    """
    for source, name in (
        (tags, f"{kind}_compute_allow_list"),
        (properties, f"{kind}_compute_allow_list"),
        (properties, f"{kind}-recommended-sku"),
    ):
        if types := _names(source, name):
            return types
    return None


def require_allowed(instance_type: str, allowed: tuple[str, ...] | None, what: str) -> None:
    """`what` begins the message, for example "fine-tuning Phi-4".

    Raises PermanentError "InstanceTypeNotAllowed"; Azure compares instance types without regard to case.
    """
    if allowed is None or instance_type.casefold() in (name.casefold() for name in allowed):
        return
    raise PermanentError(
        "InstanceTypeNotAllowed",
        f"{what}: the base model does not allow {instance_type}; choose one of {', '.join(allowed)}.",
    )


def require_chat_completion(model: str, tags: Mapping[str, str], properties: Mapping[str, str]) -> None:
    """Raises PermanentError "ModelNotFineTunable" when the model lists its fine-tuning tasks without ours.

    A model that lists none passes: private registries need not say.
    """
    for source in (properties, tags):
        for key in _TASK_KEYS:
            tasks = _names(source, key)
            if tasks and TASK not in tasks:
                raise PermanentError(
                    "ModelNotFineTunable",
                    f"{model} can be fine-tuned for {', '.join(tasks)}, not for {TASK}; choose another model.",
                )


def _names(source: Mapping[str, str], key: str) -> tuple[str, ...]:
    """From "['a', 'b']" as well as from "a, b"."""
    text = source.get(key, "").strip()
    if not text.startswith(("[", "(", "{")):
        return tuple(name for part in text.split(",") if (name := part.strip()))
    value = literal_tag(source, key)
    if not isinstance(value, list | tuple | set) or not all(isinstance(item, str) for item in value):
        raise _malformed(key, "it is not a list of names")
    return tuple(sorted(value)) if isinstance(value, set) else tuple(value)


def _malformed(name: str, reason: str) -> PermanentError:
    return PermanentError("MalformedModelTag", f"the base model's {name} can not be read: {reason}.")
