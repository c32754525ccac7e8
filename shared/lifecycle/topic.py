"""The Event Grid topic that lifecycle events are published to.

Not azure-eventgrid's client: for a topic that is not of a namespace, 4.22 drops every option that it is given, so
that it waits 300 s for a connection and tries ten times.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.messaging import CloudEvent

    from shared.timeouts import Timeouts

API_VERSION = "2018-01-01"
_SCOPE = "https://eventgrid.azure.net/.default"
_CONTENT_TYPE = "application/cloudevents-batch+json; charset=utf-8"


class Topic:
    """Raises azure-core's exceptions. `patience` are options of azure-core's RetryPolicy."""

    def __init__(
        self, endpoint: str, credential: TokenCredential, timeouts: Timeouts, patience: dict[str, Any]
    ) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._timeouts = timeouts
        self._patience = patience

    def send(self, events: Sequence[CloudEvent[dict[str, Any]]]) -> None:
        """All of them are accepted, or none: https://learn.microsoft.com/azure/event-grid/cloud-event-schema"""
        from azure.core.exceptions import HttpResponseError
        from azure.core.rest import HttpRequest

        request = HttpRequest(
            "POST",
            self._endpoint,
            params={"api-version": API_VERSION},
            headers={"Content-Type": _CONTENT_TYPE},
            json=[_body(event) for event in events],
        )
        response = self._client.send_request(request)
        if response.status_code != 200:
            raise HttpResponseError(response=response)

    def close(self) -> None:
        self._client.close()

    @functools.cached_property
    def _client(self) -> PipelineClient[Any, Any]:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RequestIdPolicy, RetryPolicy

        policies = [
            RequestIdPolicy(),
            RetryPolicy(**self._patience),
            BearerTokenCredentialPolicy(self._credential, _SCOPE),
        ]
        return PipelineClient("", policies=policies, **self._timeouts.options())


def _body(event: CloudEvent[dict[str, Any]]) -> dict[str, Any]:
    return {
        "specversion": event.specversion,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": None if event.time is None else event.time.isoformat(),
        "data": event.data,
    }
