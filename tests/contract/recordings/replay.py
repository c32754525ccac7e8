"""Sends what was recorded to the local cloud, in order, and waits until it is in the recorded state."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from localcloud.config import LOCATION, SUBSCRIPTION_ID, WORKSPACE_ID
from tests.contract.openapi.exchanges import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from tests.integration.azureml_support import Cloud

_PROVIDER = "/providers/Microsoft.MachineLearningServices"
_WORKSPACE = re.compile(rf"/subscriptions/[^/]+/resourceGroups/[^/]+{_PROVIDER}/workspaces/[^/?\"]+", re.IGNORECASE)
_LOCATION = re.compile(rf"/subscriptions/[^/]+{_PROVIDER}/locations/[^/]+", re.IGNORECASE)
_UNDER_WAY = frozenset({None, "Creating", "Updating", "Deleting", "NotStarted", "Preparing"})
_LONG = 3600.0
_DEADLINE = 30.0


@dataclass
class Replay:
    """`names`: what stands for a recorded name. `adapt` changes a body that this cloud can not take as it is."""

    cloud: Cloud
    names: dict[str, str]
    adapt: Callable[[Exchange, Any], Any] = lambda _, body: body
    _urls: dict[str, str] = field(default_factory=dict)
    """Recorded URL of a header → ours."""

    def translate(self, text: str) -> str:
        """Our names for the recorded ones."""
        text = _LOCATION.sub(f"/subscriptions/{SUBSCRIPTION_ID}{_PROVIDER}/locations/{LOCATION}", text)
        text = _WORKSPACE.sub(WORKSPACE_ID, text)
        for recorded, ours in self.names.items():
            text = text.replace(recorded, ours)
        return text

    def send(self, recorded: Exchange) -> Exchange:
        """Again until the state is the recorded one, for a look. Gives the last answer after the deadline."""
        wanted = state_of(recorded.response_body)
        if recorded.method == "GET" and wanted not in _UNDER_WAY:
            self._let_time_pass()
        deadline = time.monotonic() + _DEADLINE
        while True:
            answered = self._once(recorded)
            is_there = answered.status == recorded.status and wanted in (None, state_of(answered.response_body))
            if is_there or recorded.method != "GET" or time.monotonic() > deadline:
                break
            time.sleep(0.02)
        self._remember(recorded, answered)
        return answered

    def _once(self, recorded: Exchange) -> Exchange:
        parts = urlsplit(self._urls.get(recorded.url) or self.translate(recorded.url))
        body = recorded.request_body
        if body is not None:
            body = self.adapt(recorded, json.loads(self.translate(json.dumps(body))))
        answer = self.cloud.http.request(
            recorded.method,
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            headers={"Authorization": f"Bearer {self.cloud.token()}"},
            json=body,
        )
        return Exchange(
            method=recorded.method,
            url=str(answer.url),
            request_headers={},
            request_body=body,
            status=answer.status_code,
            response_headers={name.lower(): value for name, value in answer.headers.items()},
            response_body=_body(answer),
        )

    def _let_time_pass(self) -> None:
        if self.cloud.control("GET", "/health")["mode"] == "manual":
            self.cloud.control("POST", "/advance", {"seconds": _LONG})

    def _remember(self, recorded: Exchange, answered: Exchange) -> None:
        for name in ("azure-asyncoperation", "location"):
            if name in recorded.response_headers and name in answered.response_headers:
                theirs, ours = recorded.response_headers[name], answered.response_headers[name]
                self._urls[theirs] = ours
                self.names[_last_segment(theirs)] = _last_segment(ours)
        for theirs, ours in zip(_runs(recorded.response_body), _runs(answered.response_body), strict=False):
            self.names[theirs] = ours


def state_of(body: Any) -> str | None:
    """Of an operation, or of a resource."""
    if not isinstance(body, dict):
        return None
    properties: Mapping[str, Any] = body.get("properties") or {}
    state = body.get("status") or properties.get("provisioningState") or properties.get("status")
    return None if state is None else str(state)


def _last_segment(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _runs(body: Any) -> list[str]:
    """Ids of a list of runs."""
    value = body.get("value") if isinstance(body, dict) else None
    return [run["runId"] for run in value if "runId" in run] if isinstance(value, list) else []


def _body(answer: httpx.Response) -> Any:
    """As the recorder wrote it: the text null for the JSON value, null for nothing."""
    if not answer.content:
        return None
    parsed = answer.json()
    return "null" if parsed is None else parsed
