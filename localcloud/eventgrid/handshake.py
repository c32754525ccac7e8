"""Validation: an endpoint gets events only after it has shown that it wants them.

https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema and
https://github.com/cloudevents/spec/blob/v1.0/http-webhook.md#4-abuse-protection
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

import httpx

from localcloud.eventgrid.events import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from localcloud.config import EventSubscription

log = logging.getLogger(__name__)

ProvisioningState = Literal["Creating", "AwaitingManualAction", "Succeeded", "Failed"]

ANSWER_WITHIN = 30.0
MANUAL_ACTION_WITHIN = 300.0
"""Seconds, before scaling, in which a validationUrl or a WebHook-Request-Callback is good."""
REQUEST_RATE = "120"

_ORIGIN = "eventgrid.azure.net"
_API_VERSION = "2025-02-15"


@dataclass(frozen=True)
class Validation:
    """`reason` says what is missing, in words for people; empty when nothing is."""

    state: ProvisioningState
    reason: str = ""


class Handshake:
    """The validation of one endpoint. `base` is the URL under which `confirm` is reached.

    Azure asks once, and the subscription has to be created anew when that fails. Here it exists before its
    endpoint does, so who holds this asks again.
    """

    def __init__(
        self,
        subscription: EventSubscription,
        client: httpx.AsyncClient,
        base: str,
        *,
        scale: float,
        clock: Callable[[], float],
    ) -> None:
        self._subscription = subscription
        self._client = client
        self._base = base
        self._patience = MANUAL_ACTION_WITHIN * scale
        self._clock = clock
        self._secret = ""
        self._confirmed = asyncio.Event()
        self.validation = Validation("Creating")

    async def ask(self) -> bool:
        """One handshake, waiting for a manual action if the endpoint left it open."""
        self._confirmed.clear()
        self._secret = secrets.token_urlsafe(32)
        code = str(uuid.uuid4()).upper()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                cloud_events = self._subscription.schema == "CloudEventSchemaV1_0"
                answered = await (self._options(code) if cloud_events else self._event(code))
        except (TimeoutError, httpx.HTTPError) as error:
            answered = Validation("Failed", f"the endpoint does not answer: {type(error).__name__}")
        self._change(Validation("Succeeded") if self._confirmed.is_set() else answered)
        if self.validation.state == "AwaitingManualAction":
            await self._manual_action()
        self._secret = ""
        return self.validation.state == "Succeeded"

    def confirm(self, token: str) -> bool:
        """The endpoint's owner opened the URL. False when it was made up, or is not good any more."""
        if not self._secret or not hmac.compare_digest(token.encode(), self._secret.encode()):
            return False
        self._confirmed.set()
        return True

    async def _manual_action(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._confirmed.wait()
        except TimeoutError:
            self._change(Validation("Failed", "nobody opened the validation URL in time"))
        else:
            self._change(Validation("Succeeded"))

    async def _event(self, code: str) -> Validation:
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._subscription.topic,
            "subject": "",
            "data": {"validationCode": code, "validationUrl": self._url(code)},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
            "eventTime": timestamp(self._clock()),
            "metadataVersion": "1",
            "dataVersion": "2",
        }
        headers = {
            "aeg-event-type": "SubscriptionValidation",
            "aeg-subscription-name": self._subscription.name.upper(),
            "content-type": "application/json; charset=utf-8",
        }
        answer = await self._client.post(
            self._subscription.endpoint, content=json.dumps([event]).encode(), headers=headers
        )
        if answer.status_code != 200:  # Azure says so: 202, for one, is no valid answer
            return Validation("Failed", f"the endpoint answered HTTP {answer.status_code}, not 200")
        given = _validation_response(answer)
        if given is None:
            return Validation("AwaitingManualAction", "the answer has no validationResponse: open the validationUrl")
        if str(given).upper() != code:
            return Validation("Failed", "the validationResponse is not the validationCode")
        return Validation("Succeeded")

    async def _options(self, code: str) -> Validation:
        """Permission may come with the answer, or later through the callback."""
        headers = {
            "WebHook-Request-Origin": _ORIGIN,
            "WebHook-Request-Callback": self._url(code),
            "WebHook-Request-Rate": REQUEST_RATE,
        }
        answer = await self._client.options(self._subscription.endpoint, headers=headers)
        allowed = answer.headers.get("webhook-allowed-origin")
        if answer.status_code != 200:
            return Validation("Failed", f"the endpoint answered OPTIONS with HTTP {answer.status_code}, not 200")
        if allowed is None:
            return Validation("AwaitingManualAction", "no WebHook-Allowed-Origin: open the WebHook-Request-Callback")
        if allowed not in ("*", _ORIGIN):
            return Validation("Failed", f"WebHook-Allowed-Origin allows another origin than {_ORIGIN}")
        return Validation("Succeeded")

    def _url(self, code: str) -> str:
        query = {
            "id": code,
            "t": timestamp(self._clock()),
            "apiVersion": _API_VERSION,
            "token": self._secret,
        }
        return f"{self._base}/eventsubscriptions/{self._subscription.name}/validate?{urlencode(query)}"

    def _change(self, validation: Validation) -> None:
        if validation == self.validation:
            return
        self.validation = validation
        level = logging.WARNING if validation.state == "Failed" else logging.INFO
        log.log(level, "subscription %s: %s %s", self._subscription.name, validation.state, validation.reason)


def _validation_response(answer: httpx.Response) -> Any:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body.get("validationResponse") if isinstance(body, dict) else None
