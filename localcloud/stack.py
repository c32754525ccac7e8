"""Starts and stops all processes of a local cloud as one thing."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import ssl
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx
from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from localcloud import azurite
from localcloud.azureml import datastore
from localcloud.azureml.api.workspace import CLOUD_NAME
from localcloud.certs import ensure_certificates
from localcloud.processes import Process, StackError, end_leftovers, exclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from localcloud.config import CloudConfig

log = logging.getLogger(__name__)

_DEADLINE = 60.0
_ORDER_OF_STOP = ("functions", "azure", "azurite")
_KEY_NAMES = ("_master", "default", "eventgrid_extension", "blobs_extension")

# Set where Microsoft's own hosts run: the Functions worker's code would believe that it is in Azure.
_MISLEADING = ("CONTAINER_NAME", "WEBSITE_INSTANCE_ID")


@dataclass(frozen=True)
class Commands:
    """How the two servers are started, up to their options; tests put stand-ins here."""

    azure: tuple[str, ...] = (sys.executable, "-m", "localcloud.server")
    functions: tuple[str, ...] = (sys.executable, "-m", "localcloud.functions")


def function_keys(state_dir: Path) -> dict[str, str]:
    """The keys of the Functions host, made at the first call: master, default and two system keys.

    Callers put the system keys into the webhook URLs of event subscriptions.
    """
    file = state_dir / "function_keys.json"
    if not file.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        _write_secret(file, {name: secrets.token_urlsafe(32) for name in _KEY_NAMES})
    keys: dict[str, str] = json.loads(file.read_text())
    return keys


def identity_header(state_dir: Path) -> str:
    """The secret of the managed-identity endpoint, made at the first call."""
    file = state_dir / "identity_header"
    if not file.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return file.read_text()


class LocalCloud:
    """Azurite, the Azure server and, if `app_dir` is given, the Functions host with that app.

    `persistent` keeps what is in storage over restarts. `message_lease` is how many seconds the Functions
    host holds a queue message before another host may have it. Methods that start something raise StackError,
    naming the process and quoting its log, when it does not become healthy.
    """

    def __init__(
        self,
        config: CloudConfig,
        *,
        app_dir: Path | None = None,
        app_settings: Mapping[str, str] | None = None,
        persistent: bool = True,
        message_lease: float = 600,
        commands: Commands | None = None,
    ) -> None:
        self._state_dir = Path(config.state_dir).resolve()  # the processes have other working directories
        self.config = replace(config, state_dir=str(self._state_dir))
        self._app_dir = app_dir
        self._app_settings = dict(app_settings or {})
        self._persistent = persistent
        self._message_lease = message_lease
        self._commands = commands or Commands()
        self._held = contextlib.ExitStack()
        self._processes: dict[str, Process] = {}

    def start(self) -> None:
        """Start everything and wait until it is healthy. If one part fails, the others are stopped again.

        Raises AlreadyRunningError when the state dir is in use.
        """
        self._held.enter_context(exclusive(self._state_dir))
        try:
            end_leftovers(self._state_dir)
            ensure_certificates(self._state_dir)
            self.config.save()
            self._start_azurite()
            self.create_storage(containers=(datastore.CONTAINER,))
            self.start_azure()
            if self._app_dir:
                self.start_functions()
        except BaseException:
            self.stop()
            raise
        log.info("the local cloud in %s is up", self._state_dir)

    def stop(self) -> None:
        """End everything, in reverse order of start. Idempotent."""
        for name in _ORDER_OF_STOP:
            self._end(name, kill=False)
        self._held.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start_azure(self) -> None:
        command = [*self._commands.azure, "--config", str(self.config.file)]
        self._start("azure", command, self._azure_is_healthy)

    def stop_azure(self, *, kill: bool = False) -> None:
        """`kill` is SIGKILL to the server and to every job and scoring server that it started."""
        self._end("azure", kill=kill)

    def start_functions(self) -> None:
        """Raises StackError when this cloud has no app."""
        if self._app_dir is None:
            raise StackError("There is no function app: LocalCloud was made without app_dir.")
        settings = self._state_dir / "settings.json"
        keys = self._state_dir / "function_keys.json"
        function_keys(self._state_dir)
        _write_secret(settings, self.complete_settings())
        command = [
            *(*self._commands.functions, "--app", str(self._app_dir.resolve())),
            *("--port", str(self.config.ports.functions)),
            *("--settings", str(settings), "--keys", str(keys), "--state", str(self._state_dir)),
            *("--message-lease", str(max(1, round(self._message_lease)))),  # queues know whole seconds
        ]
        self._start("functions", command, self._functions_are_healthy)

    def stop_functions(self, *, kill: bool = False) -> None:
        self._end("functions", kill=kill)

    def create_storage(
        self, *, containers: Iterable[str] = (), queues: Iterable[str] = (), tables: Iterable[str] = ()
    ) -> None:
        """Make what does not exist yet, as a deployment's template would."""
        connection, verify = self.storage_connection_string(), str(self.config.ca_file)
        with BlobServiceClient.from_connection_string(connection, connection_verify=verify) as blob_service:
            _create(containers, blob_service.create_container)
        with QueueServiceClient.from_connection_string(connection, connection_verify=verify) as queue_service:
            _create(queues, queue_service.create_queue)
        with TableServiceClient.from_connection_string(connection, connection_verify=verify) as table_service:
            _create(tables, table_service.create_table)

    def client_environment(self) -> dict[str, str]:
        """What a process needs in its environment so that unmodified Azure SDKs find and trust this cloud.

        Both names for the certificate: `requests` (synchronous SDKs) reads the first, OpenSSL's default
        context (aiohttp, so asynchronous SDKs, and httpx) the second. The last three are azure-ai-ml's switch
        for clouds that it does not know.
        """
        certificate, azure = str(self.config.ca_file), self.config.azure_url
        return {
            "IDENTITY_ENDPOINT": self.config.identity_url,
            "IDENTITY_HEADER": self.config.identity_header,
            "REQUESTS_CA_BUNDLE": certificate,
            "SSL_CERT_FILE": certificate,
            "NO_PROXY": "127.0.0.1,localhost",
            "AZUREML_CURRENT_CLOUD": CLOUD_NAME,
            "ARM_CLOUD_METADATA_URL": f"{azure}/metadata/endpoints?api-version=2019-05-01",
            "REGISTRY_DISCOVERY_ENDPOINT_URL": f"{azure}/",
        }

    def function_key(self, name: str = "default") -> str:
        return function_keys(self._state_dir)[name]

    def pid(self, process: str) -> int | None:
        """Of azurite, azure or functions; None if it was not started."""
        return self._processes[process].pid if process in self._processes else None

    def log_file(self, process: str) -> Path:
        """`process` is azurite, azure or functions. Azurite's access log is another: config.azurite_log."""
        return self._state_dir / "logs" / f"{process}.log"

    def storage_connection_string(self) -> str:
        return azurite.connection_string(self.config)

    def _start_azurite(self) -> None:
        process = azurite.azurite_process(
            self.config,
            azurite.find_azurite(self._app_dir or Path.cwd(), Path(__file__)),
            persistent=self._persistent,
            log_file=self.log_file("azurite"),
        )
        self._watch(process, lambda: azurite.azurite_is_up(self.config))

    def _start(self, name: str, command: list[str], healthy: Callable[[], bool]) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in _MISLEADING}
        environment |= {**self.client_environment(), "PYTHONUNBUFFERED": "1"}
        process = Process(
            name,
            command,
            self._state_dir,
            log_file=self.log_file(name),
            environment=environment,
            directory=Path(__file__).resolve().parent.parent,
        )
        self._watch(process, healthy)

    def _watch(self, process: Process, healthy: Callable[[], bool]) -> None:
        if earlier := self._processes.get(process.name):
            if earlier.running:
                raise StackError(f"{process.name} runs already (pid {earlier.pid}).")
            earlier.kill()  # it ended by itself: what it started may live
        process.start()
        self._processes[process.name] = process
        try:
            process.wait_until_ready(healthy, _DEADLINE)
        except BaseException:
            self._end(process.name, kill=True)
            raise

    def _end(self, name: str, *, kill: bool) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.stop()

    def complete_settings(self) -> dict[str, str]:
        """Everything that a Functions host of this cloud gets; with it Azure Functions Core Tools can be the host."""
        storage = "AzureWebJobsStorage__"
        return {
            f"{storage}blobServiceUri": self.config.blob_url,
            f"{storage}queueServiceUri": self.config.queue_url,
            f"{storage}tableServiceUri": self.config.table_url,
            f"{storage}credential": "managedidentity",
            **self.client_environment(),
            **self._app_settings,
        }

    def _azure_is_healthy(self) -> bool:
        trusted = ssl.create_default_context(cafile=str(self.config.ca_file))
        return _answers(f"{self.config.azure_url}/_localcloud/health", trusted)

    def _functions_are_healthy(self) -> bool:
        headers = {"x-functions-key": self.function_key("_master")}  # in the URL it would get into logs
        return _answers(f"{self.config.functions_url}/admin/host/status", None, headers)


def _answers(url: str, trusted: ssl.SSLContext | None, headers: Mapping[str, str] | None = None) -> bool:
    verify = trusted or False  # no certificates are needed for plain HTTP, and loading them takes 30 ms
    try:
        return httpx.get(url, headers=headers, verify=verify, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _create(names: Iterable[str], create: Callable[[str], object]) -> None:
    for name in names:
        with contextlib.suppress(ResourceExistsError):
            create(name)


def _write_secret(file: Path, content: Mapping[str, str]) -> None:
    new = file.with_name(file.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(dict(content), stream, indent=1)
    new.replace(file)
