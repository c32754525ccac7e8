"""A lock that one host at a time holds: a blob lease in azure-webjobs-hosts/locks, renewed while held.

The real host runs each timer on one instance only, by the same blob. Here the lease id belongs to the host's
state directory, so that a host which was killed gets its own lock back at once instead of after the lease
ran out.
"""

from __future__ import annotations

import asyncio
import logging
import time

from azure.core.exceptions import AzureError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobLeaseClient, BlobServiceClient

from localcloud.functions.host_storage import HOSTS_CONTAINER, ensure_container

log = logging.getLogger(__name__)

LEASE_SECONDS = 60
_RENEW_EVERY = 15.0
_TRY_EVERY = 2.0


class SingletonLock:
    """`owner` is a GUID: the lease id."""

    def __init__(self, service: BlobServiceClient, host_id: str, function_host_id: str, owner: str) -> None:
        self._service = service
        self._name = function_host_id
        self._blob = service.get_blob_client(HOSTS_CONTAINER, f"locks/{host_id}/{function_host_id}.Listener")
        self._lease = BlobLeaseClient(self._blob, lease_id=owner)
        self._renewing: asyncio.Task[None] | None = None
        self.lost = asyncio.Event()

    async def acquire(self, stop: asyncio.Event) -> bool:
        """Wait until the lock is ours; False when `stop` came first. `lost` tells when it is taken away."""
        waiting = False
        while not stop.is_set():
            if await self._try():
                self.lost.clear()
                self._renewing = asyncio.create_task(self._renew())
                return True
            if not waiting:
                log.info("another host holds the lock of %s; waiting for it", self._name)
                waiting = True
            try:
                async with asyncio.timeout(_TRY_EVERY):
                    await stop.wait()
            except TimeoutError:
                continue
        return False

    async def release(self) -> None:
        if self._renewing is None:
            return
        self._renewing.cancel()
        self._renewing = None
        if self.lost.is_set():
            return
        try:
            await asyncio.to_thread(self._lease.release)
        except AzureError as error:
            log.warning("cannot release the lock of %s: %s", self._name, error)

    async def _try(self) -> bool:
        try:
            await asyncio.to_thread(self._acquire)
        except HttpResponseError as error:
            if error.status_code != 409:
                log.error("cannot lock %s: %s", self._name, error)
            return False
        except AzureError as error:
            log.error("cannot lock %s: %s", self._name, error)
            return False
        return True

    def _acquire(self) -> None:
        try:
            self._lease.acquire(lease_duration=LEASE_SECONDS)
        except ResourceNotFoundError:
            ensure_container(self._service)
            self._create_blob()
            self._lease.acquire(lease_duration=LEASE_SECONDS)

    def _create_blob(self) -> None:
        try:
            self._blob.upload_blob(b"", overwrite=False)
        except ResourceExistsError:
            return

    async def _renew(self) -> None:
        renewed = time.monotonic()
        while time.monotonic() - renewed < LEASE_SECONDS:
            await asyncio.sleep(_RENEW_EVERY)
            try:
                await asyncio.to_thread(self._lease.renew)
                renewed = time.monotonic()
            except HttpResponseError as error:
                if error.status_code in (404, 409, 412):
                    break
                log.warning("cannot renew the lock of %s: %s", self._name, error)
            except AzureError as error:
                log.warning("cannot renew the lock of %s: %s", self._name, error)
        log.error("the lock of %s is lost", self._name)
        self.lost.set()
