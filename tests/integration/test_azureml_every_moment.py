"""The emulator's state after a kill at every moment that can be told apart: after each commit of a main job."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import TYPE_CHECKING, Any

import httpx

from localcloud.azureml import AzureML
from localcloud.azureml.consistency import facts_of, impossible_states
from localcloud.config import WORKSPACE_ID, CloudConfig, RegistryComponent
from localcloud.identity import mint_token
from localcloud.outbox import Outbox
from localcloud.routing import CloudApp
from localcloud.store import Store
from tests.integration.azureml_support import (
    ENDPOINT,
    RUNNERS,
    RecordingSink,
    deployment_body,
    job_body,
    new_config,
)

if TYPE_CHECKING:
    from pathlib import Path

JOB = "every-moment"
MODEL_ID = f"{WORKSPACE_ID}/models/{JOB}/versions/1"


async def main_job(client: httpx.AsyncClient) -> None:
    """Everything that a main job asks of Azure Machine Learning, and a deployment that is replaced."""

    async def call(method: str, path: str, body: object = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {mint_token('https://management.azure.com', key='k')}"}
        url = f"{WORKSPACE_ID}{path}?api-version=2023-08-01-preview"
        answer = await client.request(method, url, json=body, headers=headers)
        assert answer.is_success, answer.text
        return dict(answer.json() or {}) if answer.content else {}

    async def ends(path: str, field: str) -> str:
        state = ""
        async with asyncio.timeout(30):
            while state not in ("Succeeded", "Completed", "Failed"):
                await asyncio.sleep(0.01)
                state = (await call("GET", path))["properties"][field]
        return state

    body = job_body("")
    del body["properties"]["jobs"]["node"]["inputs"]["train_file_path"]
    await call("PUT", f"/jobs/{JOB}", body)
    assert await ends(f"/jobs/{JOB}", "status") == "Completed"
    uri = f"azureml://jobs/{JOB}/outputs/trained_model"
    await call("PUT", f"/models/{JOB}/versions/1", {"properties": {"modelUri": uri, "modelType": "mlflow_model"}})
    await call("PUT", "/onlineEndpoints/moments", ENDPOINT)
    assert await ends("/onlineEndpoints/moments", "provisioningState") == "Succeeded"
    for name in ("blue", "green", "blue"):
        await call("PUT", f"/onlineEndpoints/moments/deployments/{name}", deployment_body(MODEL_ID))
        assert await ends(f"/onlineEndpoints/moments/deployments/{name}", "provisioningState") == "Succeeded"
    traffic = {**ENDPOINT, "properties": {"authMode": "Key", "traffic": {"blue": 100}}}
    await call("PUT", "/onlineEndpoints/moments", traffic)
    assert await ends("/onlineEndpoints/moments", "provisioningState") == "Succeeded"
    await call("DELETE", "/onlineEndpoints/moments/deployments/green")
    while (await call("GET", "/onlineEndpoints/moments/deployments"))["value"][1:]:
        await asyncio.sleep(0.01)
    await call("DELETE", "/onlineEndpoints/moments")
    while (await call("GET", "/onlineEndpoints"))["value"]:
        await asyncio.sleep(0.01)


async def recorded(config: CloudConfig, folder: Path) -> list[Path]:
    """A copy of the database after every commit."""
    store = Store(folder / "azure.db")
    copies: list[Path] = []
    reader = sqlite3.connect(folder / "azure.db")

    def copy() -> None:
        file = folder / f"{len(copies):03d}.db"
        with sqlite3.connect(file) as target:
            reader.backup(target)
        target.close()
        copies.append(file)

    store.after_commit(copy)
    azureml = AzureML(config, store, Outbox(store, RecordingSink()), RUNNERS)
    app = CloudApp(azureml.routes, store.commit)
    running = asyncio.create_task(azureml.run())
    await asyncio.sleep(0)  # as in the server, it resumes before the first request comes
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=config.azure_url) as client:
            await main_job(client)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        store.close()
        reader.close()
    return copies


async def restarted(config: CloudConfig, database: Path) -> tuple[list[str], RecordingSink]:
    """What is impossible right after a start with this database, and the events that it still had to tell."""
    store, sink = Store(database), RecordingSink()
    azureml = AzureML(config, store, Outbox(store, sink), RUNNERS)
    azureml.executor.resume()
    azureml.serving.resume()
    try:
        return impossible_states(facts_of(azureml)), sink
    finally:
        await azureml.executor.close()
        await azureml.serving.close()
        store.close()


def test_whenever_it_is_killed_the_next_start_finds_no_impossible_state(tmp_path: Path) -> None:
    (tmp_path / "premade").mkdir()
    (tmp_path / "premade" / "MLmodel").touch()
    command = (sys.executable, "-m", "localcloud.premade", "--model", str(tmp_path / "premade"))
    component = RegistryComponent("chat_completion_pipeline", "0.0.82", command)
    config = new_config(tmp_path, components=(component,))

    copies = asyncio.run(recorded(config, tmp_path))
    found = {copy.name: asyncio.run(restarted(config, copy))[0] for copy in copies}

    assert len(copies) > 15
    assert {name: sentences for name, sentences in found.items() if sentences} == {}


def test_an_event_that_was_not_passed_on_before_the_kill_is_passed_on_after_it(tmp_path: Path) -> None:
    class Dead(RecordingSink):
        def publish(self, topic: str, event_type: str, subject: str, data: Any) -> None:
            raise ConnectionError("killed")

    async def dies(store: Store) -> None:
        Outbox(store, Dead()).publish("topic", "type", "first", {"number": 1})
        store.put("things", "changed", {})
        try:
            store.commit()
        except ConnectionError:
            return

    store = Store(tmp_path / "azure.db")
    asyncio.run(dies(store))
    survivor, sink = Store(tmp_path / "azure.db"), RecordingSink()
    outbox = Outbox(survivor, sink)
    outbox.publish("topic", "type", "second", {})

    assert survivor.get("things", "changed") == {}
    assert [event.subject for event in sink.events] == ["first", "second"]
    assert survivor.scan("outbox") == []
    survivor.close()
    store.close()
