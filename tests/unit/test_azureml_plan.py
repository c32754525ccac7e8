"""What a pipeline job must give to its component. The one of the registry has a default for all that it requires."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from localcloud.azureml import registry as registries
from localcloud.azureml.errors import UserError
from localcloud.azureml.limits import CurrentLimits
from localcloud.azureml.pipeline import plan
from localcloud.azureml.registry import Component, ComponentInput, Registry
from localcloud.config import CloudConfig, Limits, Ports
from localcloud.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPONENT = Component(
    "strict",
    "1",
    {
        "rows": ComponentInput("rows", "uri_file", optional=False),
        "rate": ComponentInput("rate", "number", optional=False),
        "seed": ComponentInput("seed", "integer", optional=False, default="7"),
        "note": ComponentInput("note", "string", optional=True),
    },
    {},
)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(registries, "_components", lambda: (COMPONENT,))
    store = Store(tmp_path / "azure.db")
    config = CloudConfig(str(tmp_path), Ports(*range(1, 7)), "secret", ())
    yield Registry(config, CurrentLimits(store, Limits()))
    store.close()


def job(**inputs: str) -> dict[str, Any]:
    given = {name: {"job_input_type": "literal", "value": value} for name, value in inputs.items()}
    component = "azureml://registries/azureml/components/strict/versions/1"
    return {"jobType": "Pipeline", "jobs": {"node": {"componentId": component, "inputs": given}}}


def test_inputs_without_a_default_are_required(registry: Registry) -> None:
    with pytest.raises(UserError) as refusal:
        plan(job(note="n"), registry)

    assert (refusal.value.status, refusal.value.code) == (400, "UserError")
    assert refusal.value.message == "Node node: required input rate, rows is not set."


def test_defaults_and_optional_inputs_need_not_be_given(registry: Registry) -> None:
    planned = plan(job(rate="0.5", rows="https://a/b"), registry)

    assert planned.literals == {"rate": "0.5", "seed": "7"}
    assert planned.assets == {"rows": "https://a/b"}
