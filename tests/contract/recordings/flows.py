"""The recorded flows that concern a fine-tuning automation, and what each presumes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.contract.recordings.recording import load
from tests.integration.azureml_support import job_body, job_ended, trained_model
from tests.reference import EXCERPTS, RECORDINGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.openapi.exchanges import Exchange
    from tests.integration.azureml_support import Cloud

Prepare = Callable[["Cloud", "Exchange"], None]
Adapt = Callable[["Exchange", Any], Any]

NOT_REPLAYED = (
    (r"//[^/]*\.blob\.core\.windows\.net/", "uploads: Azurite answers those"),
    (r"/datastores/[^/]+/listSecrets\?", "the keys of the storage account: not emulated, who uses it brings a token"),
    (r"/(codes|components)/[^/]+/versions/[^/]+\?api-version=20(?!21)", "assets of the workspace: not emulated"),
    (r"/execution/v1\.0/", "runs on the user's own machine: not emulated"),
    (r"/onlineEndpoints/[^/]+/token\?", "endpoints have keys only: not emulated"),
)
"""Recorded requests that are left out, by their URL, and why."""


@dataclass(frozen=True)
class Flow:
    """`first`: how many recorded requests count, None for all. `without`: a regular expression over method, URL and
    status of what does not. `manual`: time passes only as the recording says.

    `has_all_headers`: excerpts have only those that say something about polling.
    """

    recording: str
    set_up: Callable[[Cloud], Adapt]
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    first: int | None = None
    without: str | None = None
    manual: bool = False
    folder: Path = RECORDINGS
    has_all_headers: bool = True
    prepare: Prepare = lambda _cloud, _recorded: None
    """What must be true before a request is sent."""

    def exchanges(self) -> list[Exchange]:
        recorded = load(self.folder, self.recording)[: self.first]
        return [
            exchange
            for exchange in recorded
            if not any(re.search(url, exchange.url) for url, _ in NOT_REPLAYED)
            if self.without is None
            or re.search(self.without, f"{exchange.method} {exchange.url} {exchange.status}") is None
        ]


def _nothing(_: Cloud) -> Adapt:
    return lambda _, body: body


def _a_model(job: str) -> Callable[[Cloud], Adapt]:
    """The recorded model was uploaded; ours is the output of a job."""

    def set_up(cloud: Cloud) -> Adapt:
        trained_model(cloud, job)

        def adapt(_: Exchange, body: Any) -> Any:
            if "modelUri" in body["properties"]:
                body["properties"]["modelUri"] = f"azureml://jobs/{job}/outputs/trained_model"
            return body

        return adapt

    return set_up


def _with_key(_: Cloud) -> Adapt:
    """The recorded endpoint has tokens; ours has keys."""

    def adapt(_: Exchange, body: Any) -> Any:
        body["properties"]["authMode"] = "Key"
        return body

    return adapt


def _a_node(*orders: str) -> Callable[[Cloud], Adapt]:
    """The recorded jobs run commands of other people; ours has the one node that this cloud can run."""

    def set_up(cloud: Cloud) -> Adapt:
        nodes = job_body(cloud.upload("recorded.jsonl", "\n".join(orders)))["properties"]["jobs"]
        nodes["node"]["outputs"] = {}

        def adapt(_: Exchange, body: Any) -> Any:
            body["properties"]["jobs"] = nodes
            return body

        return adapt

    return set_up


def _once_ended(job: str) -> Prepare:
    """The recorded job had ended when it was cancelled."""

    def prepare(cloud: Cloud, recorded: Exchange) -> None:
        if recorded.url.partition("?")[0].endswith("/cancel"):
            job_ended(cloud, job)

    return prepare


def _throttled(cloud: Cloud, recorded: Exchange) -> None:
    """Too many requests had been sent before those that were answered so."""
    if recorded.status == 429:
        cloud.control("POST", "/limits", {"requests": 0, "request_seconds": 20})
    else:
        cloud.control("DELETE", "/limits")


FLOWS = (
    Flow(
        "online_endpoint_and_deployment_create_delete",
        _a_model("recorded-model-1"),
        {"online-endp4e07306aec3d482": "recorded-endpoint", "online-dpma4941dc794114e4": "recorded-blue"},
        manual=True,
    ),
    Flow(
        "online_endpoint_e2e_2026-03-03",
        _with_key,
        {"online-ept-6696557f8dec409": "recorded-2026"},
        manual=True,
        folder=EXCERPTS,
        has_all_headers=False,
    ),
    Flow("command_job_get_404", _nothing, first=1),
    Flow("model_crud_file", _a_model("recorded-model-2")),
    Flow(
        "pipeline_job_cancel_400",
        _a_node(),
        {"000000000000000000000": "recorded-cancelled-late"},
        prepare=_once_ended("recorded-cancelled-late"),
    ),
    Flow("pipeline_job_child_runs", _a_node()),
    Flow("pipeline_job_create_invalid_compute", _nothing),
    Flow(
        "pipeline_job_throttled_429_500",
        _a_node("wait"),
        # A job of this cloud ends as soon as it is cancelled: nobody sees that under way. Nor does its gateway fail.
        without=r" 500$|/mfeOperationResults/.+ 202$",
        prepare=_throttled,
    ),
    Flow(
        "registry_component_and_model_as_input",
        _a_node("wait"),
        {
            "000000000000000000000": "recorded-registry-job",
            "v2_dsl_score_component": "chat_completion_pipeline",
            "versions/0.0.8": "versions/0.0.82",
            "testFeed": "azureml",
        },
    ),
    Flow(
        "registry_pipeline_job_with_registered_component",
        _nothing,
        {
            "sample_command_component_basic": "chat_completion_pipeline",
            "versions/1": "versions/0.0.82",
            "testFeed": "azureml",
        },
    ),
)
