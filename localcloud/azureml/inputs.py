"""Brings the inputs of a job to this machine: blobs are downloaded, registry models built on first use."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobClient

from localcloud.azureml.datastore import blob_url
from localcloud.azureml.registry import AssetId
from localcloud.identity import LocalCredential
from localcloud.processes import die_with_parent

if TYPE_CHECKING:
    from localcloud.azureml.registry import Registry
    from localcloud.azureml.runners import Runners
    from localcloud.config import CloudConfig

log = logging.getLogger(__name__)


class InputError(Exception):
    """`code` and message end as the error of the run."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Inputs:
    def __init__(self, config: CloudConfig, registry: Registry, runners: Runners) -> None:
        self._config = config
        self._registry = registry
        self._runners = runners
        self._building = asyncio.Lock()

    async def fetch(self, name: str, uri: str, folder: Path) -> Path:
        """A local path for an asset input. Raises InputError."""
        asset = AssetId.parse(uri)
        if asset is not None and asset.kind.lower() == "models":
            return await self.registry_model(asset)
        url = blob_url(self._config, uri) or uri
        if self._is_ours(url):
            target = folder / name / Path(unquote(urlsplit(url).path)).name
            await asyncio.to_thread(self._download, url, target)
            return target
        raise InputError(
            "UserError",
            f"The input {name} cannot be read: {_without_query(uri)} is neither a blob of this cloud "
            "nor a file in its default datastore nor a model of its registry.",
        )

    def require_model(self, asset: AssetId) -> None:
        """Raises UserError when the registry does not have it."""
        self._registry.require(asset.registry)
        self._registry.model(asset.name, asset.version)

    async def registry_model(self, asset: AssetId) -> Path:
        """The folder of a registry model, built if it does not exist yet. Raises InputError."""
        path = Path(self._config.state_dir, self._registry.model(asset.name, asset.version).path)
        async with self._building:
            if not path.exists():
                await self._build(path)
        return path

    async def _build(self, path: Path) -> None:
        """Into a folder beside it first, so that an interrupted build is never taken for a model."""
        unfinished = path.with_name(path.name + ".unfinished")
        await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        log.info("building the base model %s", path.name)
        process = await asyncio.create_subprocess_exec(
            *self._runners.base_model,
            *("--out", str(unfinished)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        try:
            _, complaint = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            last = complaint.decode(errors="replace").strip().splitlines()[-1:]
            raise InputError("SystemError", f"The base model could not be built: {' '.join(last)}")
        unfinished.rename(path)

    def _is_ours(self, uri: str) -> bool:
        ours, theirs = urlsplit(self._config.blob_url), urlsplit(uri)
        return (
            theirs.scheme == ours.scheme
            and theirs.hostname in (ours.hostname, "localhost")
            and theirs.port == ours.port
        )

    def _download(self, uri: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        credential = None if "sig=" in urlsplit(uri).query else LocalCredential(self._config.identity_header)
        try:
            with (
                BlobClient.from_blob_url(
                    uri, credential, connection_verify=str(self._config.ca_file), retry_total=3
                ) as blob,
                target.open("wb") as file,
            ):
                blob.download_blob().readinto(file)
        except HttpResponseError as error:
            code = "NotFound" if error.status_code == 404 else str(error.status_code)
            raise InputError(
                "UserError",
                f"ScriptExecution.StreamAccess.{code}: {_without_query(uri)} could not be read "
                f"({error.status_code} {error.reason}).",
            ) from error
        except AzureError as error:
            raise InputError("SystemError", f"ScriptExecution.StreamAccess: {_without_query(uri)}: {error}") from error


def _without_query(uri: str) -> str:
    """A SAS must not end in a log."""
    return uri.partition("?")[0]
