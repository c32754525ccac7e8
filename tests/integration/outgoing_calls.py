"""Every HTTP request that the Azure SDKs of this process send, by the function that sent it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport

from localcloud.config import CloudConfig


@dataclass(frozen=True)
class Call:
    """`timeout` is what `requests` was given: seconds to connect and to read, or None for ever."""

    function: str
    service: str
    method: str
    path: str
    timeout: Any

    def __str__(self) -> str:
        return f"{self.function}: {self.service} {self.method} {self.path}"


@dataclass
class OutgoingCalls:
    """What is sent while a function is `running`; the rest is the test's own."""

    calls: list[Call] = field(default_factory=list)
    transports: Counter[str] = field(default_factory=Counter)
    """Clients' transports that were made, by function: each has its own connections."""
    threads: Counter[str] = field(default_factory=Counter)
    """Names of threads that were started."""
    function: str = ""

    @contextmanager
    def running(self, function: str) -> Iterator[None]:
        self.function = function
        try:
            yield
        finally:
            self.function = ""

    def by_function(self) -> dict[str, dict[str, int]]:
        """Function → service → number of calls."""
        found: dict[str, Counter[str]] = {}
        for call in self.calls:
            found.setdefault(call.function, Counter())[call.service] += 1
        return {function: dict(sorted(counts.items())) for function, counts in sorted(found.items())}

    def by_service(self) -> dict[str, int]:
        return dict(sorted(Counter(call.service for call in self.calls).items()))

    def clear(self) -> None:
        self.calls.clear()
        self.transports.clear()
        self.threads.clear()


@contextmanager
def outgoing_calls(config: CloudConfig) -> Iterator[OutgoingCalls]:
    """Synchronous SDKs only, over `requests`: the app uses no others."""
    found = OutgoingCalls()
    send, init, start = requests.Session.send, RequestsTransport.__init__, threading.Thread.start

    def sending(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if found.function:
            url = urlsplit(str(request.url))
            path = url.path if "comp=" not in url.query else f"{url.path}?{url.query}"
            service = _service(config, str(request.url))
            found.calls.append(Call(found.function, service, str(request.method), path, options.get("timeout")))
        return send(session, request, **options)

    def making(transport: RequestsTransport, **options: Any) -> None:
        if found.function:
            found.transports[found.function] += 1
        init(transport, **options)

    def starting(thread: threading.Thread) -> None:
        if found.function:
            found.threads[thread.name] += 1
        start(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", sending)
        patch.setattr(RequestsTransport, "__init__", making)
        patch.setattr(threading.Thread, "start", starting)
        yield found


def _service(config: CloudConfig, url: str) -> str:
    known = {
        config.identity_url: "identity",
        config.blob_url: "blobs",
        config.queue_url: "queues",
        config.table_url: "ledger",
        f"{config.azure_url}/eventgrid/": "events",
        f"{config.azure_url}/inference/": "scoring",
    }
    for prefix, service in known.items():
        if url.startswith(prefix):
            return service
    return "metrics" if "/metrics:getBatch" in url else "azureml"
