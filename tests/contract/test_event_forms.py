"""The emulated events have exactly the properties of Microsoft's samples, in both schemas.

What the samples have and the emulator leaves out, or the other way round, is listed here with its reason.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from localcloud.config import WORKSPACE_ID, CloudConfig, Ports
from localcloud.eventgrid import storage_events
from localcloud.eventgrid.blobs import BlobProperties, Blobs
from localcloud.eventgrid.events import DeadLetterInfo, Event, system_event, to_dead_letter, to_wire
from localcloud.eventgrid.storage_journal import BlobOperation
from tests.integration.azureml_support import Cloud, trained_model

pytest_plugins = ("tests.integration.azureml_fixtures",)

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "reference"
FACTS = Path(os.environ.get("DROPTUNE_REFERENCE", _BESIDE)) / "eventgrid"

if not FACTS.is_dir():
    pytest.skip("the collected samples of events are not beside the checkout", allow_module_level=True)

SCHEMAS = {"eventgrid": "EventGridSchema", "cloudevents": "CloudEventSchemaV1_0"}
NOW = 1795370135.25

ADDED = {"lastHttpStatusCode": "seen in real dead letters, not in the sample", "lasthttpstatuscode": "as above"}
"""Of dead letters."""
LEFT_OUT_OF_CLOUD_EVENT_LETTERS = {"lastdeliveryattempttime": "the sample ends before it"}


@pytest.fixture(scope="module")
def trained(azureml_cloud: Cloud) -> Cloud:
    """A cloud in which a job ran and its model was registered."""
    trained_model(azureml_cloud, "event-forms")
    return azureml_cloud


def load(name: str) -> Any:
    return json.loads((FACTS / name).read_text())


def blob_event(api: Any) -> Event:
    blobs = Blobs(CloudConfig("state", Ports(*range(1, 7)), "secret", ()), client=None)  # type: ignore[arg-type]  # it only builds URLs
    found = BlobProperties("0x8D4BCC2E4835CD0", "text/plain", 5, "BlockBlob")
    operation = BlobOperation(api, "datasets", "a b.txt", NOW, "0x8D4BCC2E4835CD0", "r" * 36, "c" * 36)
    return storage_events.of_operation(blobs, operation, found, None, "0" * 48)


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("api", ["PutBlob", "PutBlockList", "CopyBlob"])
def test_a_created_blob(schema: str, api: str) -> None:
    [sample] = load("eventgrid_blobcreated_samples.json")[schema]

    wire: Any = to_wire(blob_event(api), SCHEMAS[schema])

    assert wire.keys() == sample.keys()
    assert wire["data"].keys() == sample["data"].keys()
    assert wire["data"]["storageDiagnostics"].keys() == sample["data"]["storageDiagnostics"].keys()
    assert {name: type(value) for name, value in wire["data"].items()} == {
        name: type(value) for name, value in sample["data"].items()
    }


def test_a_file_of_a_hierarchical_account() -> None:
    differences = load("eventgrid_blobcreated_samples.json")["adls_gen2_differences"]
    blobs = Blobs(CloudConfig("state", Ports(*range(1, 7)), "secret", ()), client=None)  # type: ignore[arg-type]  # it only builds URLs
    found = BlobProperties("0x8D4BCC2E4835CD0", "text/plain", 5, "BlockBlob")

    made = [
        form(blobs, "c", "b", found, "0" * 48, NOW)
        for form in (storage_events.created_file, storage_events.flushed_file)
    ]

    data: list[Any] = [event.data for event in made]
    assert [d["api"] for d in data] == differences["data.api"]
    assert all(d["contentOffset"] == differences["data.contentOffset"] for d in data)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_run_that_completed_and_one_that_changed_its_status(trained: Cloud, schema: str) -> None:
    samples = load("eventgrid_machinelearning_samples.json")[schema]
    events = [event for event in trained.sink.events if event.type.startswith("Run")]
    assert {event.type for event in events} == {"RunCompleted", "RunStatusChanged"}

    for event in events:
        [sample] = samples[event.type]
        wire: Any = to_wire(
            system_event(
                WORKSPACE_ID, f"Microsoft.MachineLearningServices.{event.type}", event.subject, event.data, NOW
            ),
            SCHEMAS[schema],
        )
        assert wire.keys() == sample.keys()
        assert wire["data"].keys() == sample["data"].keys()
        assert [len(wire["subject"].split("/")), wire["subject"].split("/")[::2]] == [4, ["experiments", "runs"]]


@pytest.mark.parametrize("number", range(2))
def test_the_tags_and_properties_by_which_root_and_child_runs_are_told_apart(trained: Cloud, number: int) -> None:
    """Of the payloads that were seen in reality: number 0 is a root run, number 1 a child run."""
    observed = load("eventgrid_ml_observed_payloads.json")["observed"][number]["data"]
    run_type = observed["runType"]

    ours = [event.data for event in trained.sink.events if event.data.get("runType") == run_type]

    assert ours
    told_by = {name for name in observed["runTags"] if name.startswith("azureml.") and run_type == "azureml.StepRun"}
    for data in ours:
        assert data["runProperties"]["azureml.runsource"] == observed["runProperties"]["azureml.runsource"]
        assert told_by <= data["runTags"].keys()
        assert ("azureml.pipelinerunid" in data["runTags"]) is ("azureml.pipelinerunid" in observed["runTags"])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_registered_model(trained: Cloud, schema: str) -> None:
    [sample] = load("eventgrid_machinelearning_samples.json")[schema]["ModelRegistered"]
    [event] = [e for e in trained.sink.events if e.subject == "models/event-forms:1"]

    wire: Any = to_wire(
        system_event(WORKSPACE_ID, f"Microsoft.MachineLearningServices.{event.type}", event.subject, event.data, NOW),
        SCHEMAS[schema],
    )

    assert wire.keys() == sample.keys()
    assert wire["data"].keys() == sample["data"].keys()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_dead_letter(schema: str) -> None:
    fields = load("eventgrid_deadletter_fields.json")[f"{schema}_dead_letter_extra_fields"]
    event = blob_event("PutBlob")

    letter = to_dead_letter(event, SCHEMAS[schema], DeadLetterInfo("R", 1, "NotFound", 404, NOW, NOW))

    added = letter.keys() - to_wire(event, SCHEMAS[schema]).keys() - ADDED.keys()
    if schema == "cloudevents":
        added -= LEFT_OUT_OF_CLOUD_EVENT_LETTERS.keys()
    assert added == fields.keys()
    assert {name: type(letter[name]) for name in fields} == {name: type(value) for name, value in fields.items()}
