"""The processes of a local cloud: with the real Azurite, and stand-ins for the two servers."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import ssl
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from azure.core import MatchConditions
from azure.data.tables import TableServiceClient, UpdateMode
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from localcloud.azurite import azurite_is_up, azurite_process, connection_string, find_azurite
from localcloud.certs import ensure_certificates
from localcloud.config import CloudConfig
from localcloud.ports import allot_ports
from localcloud.processes import AlreadyRunningError, Process, StackError
from localcloud.stack import Commands, LocalCloud, function_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.localcloud

ROOT = Path(__file__).resolve().parents[2]

# Serves what the stack waits for, and tokens, as localcloud.server and localcloud.functions do.
STAND_IN = """
    import asyncio, os, sys
    from pathlib import Path
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route
    from localcloud import identity
    from localcloud.config import CloudConfig

    option = dict(zip(sys.argv[2::2], sys.argv[3::2]))

    async def health(request):
        return JSONResponse({"environment": dict(os.environ), "options": option})

    async def status(request):
        keys = __import__("json").loads(Path(option["--keys"]).read_text())
        right = request.headers.get("x-functions-key") == keys["_master"]
        return JSONResponse({"state": "Running", "options": option}, 200 if right else 401)

    def serve(routes, port, **tls):
        config = uvicorn.Config(Starlette(routes=routes), port=port, log_level="warning", **tls)
        return uvicorn.Server(config).serve()

    async def azure():
        config = CloudConfig.load(Path(option["--config"]))
        tls = {"ssl_certfile": config.server_cert, "ssl_keyfile": str(config.server_key)}
        await asyncio.gather(
            serve([Route("/_localcloud/health", health)], config.ports.azure, **tls),
            serve(identity.routes(config), config.ports.identity),
        )

    async def functions():
        await serve([Route("/admin/host/status", status)], int(option["--port"]))

    async def broken():
        sys.exit("the model folder is unreadable")

    asyncio.run({"azure": azure, "functions": functions, "broken": broken}[sys.argv[1]]())
"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    script = tmp_path_factory.mktemp("stand-in") / "stand_in.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n" + textwrap.dedent(STAND_IN))
    return Commands(azure=(sys.executable, str(script), "azure"), functions=(sys.executable, str(script), "functions"))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Iterator[LocalCloud]:
    state = tmp_path_factory.mktemp("state")
    cloud = LocalCloud(new_config(state), app_dir=ROOT, app_settings={"APP": "1"}, persistent=False, commands=commands)
    with cloud:
        yield cloud


@pytest.fixture
def credential(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagedIdentityCredential]:
    for name, value in cloud.client_environment().items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential() as credential:
        yield credential


def new_config(state: Path) -> CloudConfig:
    return CloudConfig(str(state), allot_ports(state), identity_header="secret", models=())


def test_blobs_work_with_a_managed_identity(cloud: LocalCloud, credential: ManagedIdentityCredential) -> None:
    with BlobServiceClient(cloud.config.blob_url, credential) as service:
        container = service.create_container("identity")
        container.upload_blob("a/b.jsonl", b"content")

        assert container.download_blob("a/b.jsonl").readall() == b"content"
        assert [blob.name for blob in container.list_blobs()] == ["a/b.jsonl"]


def test_queues_work_with_a_managed_identity(cloud: LocalCloud, credential: ManagedIdentityCredential) -> None:
    with QueueServiceClient(cloud.config.queue_url, credential=credential) as service:
        queue = service.create_queue("identity")
        queue.send_message("hello", visibility_timeout=0)
        [message] = queue.receive_messages()
        queue.delete_message(message)

        assert message.content == "hello"


def test_tables_work_with_a_managed_identity(cloud: LocalCloud, credential: ManagedIdentityCredential) -> None:
    with TableServiceClient(cloud.config.table_url, credential=credential) as service:
        table = service.create_table("identity")
        row = table.create_entity({"PartitionKey": "p", "RowKey": "r", "state": "training"})
        table.update_entity(
            {"PartitionKey": "p", "RowKey": "r", "state": "live"},
            UpdateMode.REPLACE,
            etag=row["etag"],
            match_condition=MatchConditions.IfNotModified,
        )

        assert [entity["state"] for entity in table.query_entities("PartitionKey eq 'p'")] == ["live"]


@pytest.mark.parametrize("service", ["blob", "queue", "table"])
def test_storage_refuses_a_token_for_another_service(
    cloud: LocalCloud, credential: ManagedIdentityCredential, service: str
) -> None:
    token = credential.get_token("https://vault.azure.net/.default").token
    urls = {"blob": cloud.config.blob_url, "queue": cloud.config.queue_url, "table": cloud.config.table_url}
    path = "/Tables" if service == "table" else "?comp=list"

    answer = httpx.get(
        urls[service] + path,
        headers={"authorization": f"Bearer {token}", "x-ms-version": "2025-11-05"},
        verify=ssl.create_default_context(cafile=str(cloud.config.ca_file)),
    )

    assert answer.status_code == 403
    assert "Invalid token audience" in answer.text


def test_storage_is_created_once_and_then_left_alone(cloud: LocalCloud) -> None:
    for _ in range(2):
        cloud.create_storage(containers=["datasets", "tunings"], queues=["work"], tables=["ledger"])

    connection = cloud.storage_connection_string()
    verify = str(cloud.config.ca_file)
    with BlobServiceClient.from_connection_string(connection, connection_verify=verify) as service:
        assert {"datasets", "tunings"} <= {container.name for container in service.list_containers()}


def test_the_functions_host_is_told_everything_that_the_app_needs(cloud: LocalCloud) -> None:
    key = cloud.function_key("_master")
    status = f"{cloud.config.functions_url}/admin/host/status"
    options = httpx.get(status, headers={"x-functions-key": key}).json()["options"]
    settings = json.loads(Path(options["--settings"]).read_text())

    assert options["--app"] == str(ROOT)
    assert options["--message-lease"] == "600"
    assert settings["APP"] == "1"
    assert settings["AzureWebJobsStorage__blobServiceUri"] == cloud.config.blob_url
    assert settings["AzureWebJobsStorage__credential"] == "managedidentity"
    assert settings["IDENTITY_ENDPOINT"] == cloud.config.identity_url
    for secret in (options["--settings"], options["--keys"]):
        assert Path(secret).stat().st_mode & 0o777 == 0o600


def test_a_second_start_of_a_running_state_dir_is_refused(cloud: LocalCloud, commands: Commands) -> None:
    second = LocalCloud(cloud.config, commands=commands)

    with pytest.raises(AlreadyRunningError, match="already runs"):
        second.start()

    assert azure_answers(cloud)


def test_the_functions_host_can_be_killed_and_started_again(cloud: LocalCloud) -> None:
    cloud.stop_functions(kill=True)
    with pytest.raises(httpx.ConnectError):
        httpx.get(cloud.config.functions_url)

    cloud.start_functions()

    assert httpx.get(cloud.config.functions_url).status_code == 404


def test_two_state_dirs_run_side_by_side_and_stop_is_clean(
    cloud: LocalCloud, commands: Commands, tmp_path: Path
) -> None:
    neighbour = LocalCloud(new_config(tmp_path / "neighbour"), persistent=False, commands=commands)
    with neighbour:
        assert azure_answers(neighbour)
        assert azure_answers(cloud)

    neighbour.stop()
    assert not azure_answers(neighbour)
    assert not list((tmp_path / "neighbour" / "pids").iterdir())
    assert azure_answers(cloud)


def test_a_process_that_fails_is_named_with_the_end_of_its_log(commands: Commands, tmp_path: Path) -> None:
    broken = replace(commands, azure=(*commands.azure[:2], "broken"))
    cloud = LocalCloud(new_config(tmp_path), persistent=False, commands=broken)

    with pytest.raises(StackError, match=r"azure ended with code 1.\n(.*\n)*the model folder is unreadable"):
        cloud.start()

    assert not list((tmp_path / "pids").iterdir())


def test_after_kill_9_nothing_survives_and_the_data_is_there_at_the_next_start(
    commands: Commands, tmp_path: Path
) -> None:
    config = new_config(tmp_path)
    config.save()
    program = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from localcloud.config import CloudConfig
        from localcloud.stack import Commands, LocalCloud
        cloud = LocalCloud(CloudConfig.load(Path({str(config.file)!r})),
                           commands=Commands(azure={commands.azure!r}))
        cloud.start()
        cloud.create_storage(containers=["kept"])
        print("up", flush=True)
        time.sleep(60)
        """
    )
    owner = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        pids = [int(file.read_text()) for file in (tmp_path / "pids").iterdir()]
        os.kill(owner.pid, signal.SIGKILL)
    assert len(pids) == 2
    until(lambda: not any(map(alive, pids)), "processes outlived their parent")

    assert allot_ports(tmp_path) == config.ports
    with LocalCloud(config, commands=commands) as again:
        connection = again.storage_connection_string()
        with BlobServiceClient.from_connection_string(connection, connection_verify=str(config.ca_file)) as service:
            assert "kept" in {container.name for container in service.list_containers()}


def test_azurite_saves_its_data_even_when_it_is_told_twice_to_end(tmp_path: Path) -> None:
    config = new_config(tmp_path)
    ensure_certificates(tmp_path)
    program = find_azurite(ROOT)
    for run in (1, 2):
        process = azurite_process(config, program, persistent=True, log_file=tmp_path / "azurite.err")
        process.start()
        try:
            process.wait_until_ready(lambda: azurite_is_up(config), deadline=30)
            with BlobServiceClient.from_connection_string(
                connection_string(config), connection_verify=str(config.ca_file)
            ) as service:
                if run == 1:
                    service.create_container("kept")
                assert "kept" in {container.name for container in service.list_containers()}
            pid = process.pid
            assert pid is not None
            os.kill(pid, signal.SIGTERM)
            until(lambda: "is closing" in config.azurite_log.read_text(), "it did not begin to end")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        finally:
            process.stop()
        config.azurite_log.unlink()


def test_a_process_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "60"])
        print(child.pid, flush=True)
        time.sleep(60)
        """
    )
    log = tmp_path / "stubborn.log"
    process = Process("stubborn", [sys.executable, "-c", program], tmp_path, log_file=log)
    process.start()
    try:
        process.wait_until_ready(lambda: log.read_text().endswith("\n"), deadline=10)
        child = int(log.read_text())
    finally:
        process.stop(grace=0.2)

    until(lambda: not alive(child), "the grandchild outlived its parent")


def test_certificates_are_kept_until_they_are_damaged(tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    files = {file: file.read_bytes() for file in (tmp_path / "certs").iterdir()}
    ensure_certificates(tmp_path)
    assert {file: file.read_bytes() for file in files} == files
    assert (tmp_path / "certs" / "server.key").stat().st_mode & 0o777 == 0o600

    (tmp_path / "certs" / "server.pem").write_text("torn")
    ensure_certificates(tmp_path)

    assert all(file.read_bytes() != content for file, content in files.items())


def test_certificates_are_renewed_before_they_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.certs.VALIDITY", dt.timedelta(days=29))
    ensure_certificates(tmp_path)
    old = (tmp_path / "certs" / "ca.pem").read_bytes()
    monkeypatch.undo()

    ensure_certificates(tmp_path)

    assert (tmp_path / "certs" / "ca.pem").read_bytes() != old


def test_function_keys_are_made_once(tmp_path: Path) -> None:
    keys = function_keys(tmp_path)

    assert set(keys) == {"_master", "default", "eventgrid_extension", "blobs_extension"}
    assert len(set(keys.values())) == 4
    assert function_keys(tmp_path) == keys


def azure_answers(cloud: LocalCloud) -> bool:
    trusted = ssl.create_default_context(cafile=str(cloud.config.ca_file))
    try:
        return httpx.get(f"{cloud.config.azure_url}/_localcloud/health", verify=trusted).status_code == 200
    except httpx.ConnectError:
        return False


def alive(pid: int) -> bool:
    """Zombies, which wait for somebody to ask for their exit code, are dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool], otherwise: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)
