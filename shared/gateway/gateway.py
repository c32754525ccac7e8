"""One call through the gateway: to the endpoint that is live, or a wake and when to come back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import DroptuneError, TransientError
from shared.gateway.body import Body, TooLargeError, read_body
from shared.gateway.directory import EndpointVanishedError
from shared.gateway.headers import Headers, preferred_wait, to_caller
from shared.gateway.upstream import Answer, BrokenOffError, NotConnectedError, SlowAnswerError
from shared.lifecycle.standing import Situation, Standing
from shared.lifecycle.waking import described

if TYPE_CHECKING:
    from shared.gateway.directory import Directory
    from shared.gateway.upstream import Target, Upstream
    from shared.gateway.usage import Usage
    from shared.lifecycle.waking import EndpointKeeper

log = logging.getLogger(__name__)

CALLER = "a call through the gateway"
_LOOK_SECONDS = 1.0
"""Between two looks at a dataset that a caller waits for."""
_GONE = frozenset({404, 410})
"""Answers of Azure ML's data plane itself: what a model answers comes as 424."""


@dataclass(frozen=True)
class Call:
    """`body` can be read once; `length` is None if it was not announced."""

    dataset: str
    headers: Headers
    body: AsyncIterator[bytes]
    length: int | None
    left: Callable[[], Awaitable[bool]]
    """Whether the caller has gone."""


@dataclass(frozen=True)
class Refusal:
    """An answer of the gateway itself."""

    status: int
    code: str
    message: str
    retry_after: float | None = None
    details: dict[str, Any] | None = None


_UNREACHABLE = Refusal(503, "EndpointUnreachable", "the live endpoint can not be reached; it is looked at", 15)


@dataclass(frozen=True)
class Reply:
    """What the endpoint answered, to be passed on; or a refusal. `waited` is a preference that was honoured."""

    answer: Answer | None = None
    refusal: Refusal | None = None
    waited: int | None = None


@dataclass(frozen=True)
class Gateway:
    directory: Directory
    upstream: Upstream
    usage: Usage
    keeper: EndpointKeeper
    timeout: float
    """Seconds until an answer must have begun."""
    max_body: int
    timer: Callable[[], float]

    async def score(self, call: Call) -> Reply:
        """Never raises for what an endpoint, the cloud or a caller can provoke, but for a caller who left."""
        deadline = self.timer() + self.timeout
        try:
            body = await read_body(call.body, call.length, self.max_body)
            target = await self.directory.find(call.dataset)
            wait = 0
            if target is None:
                wait = preferred_wait(call.headers)
                found = await self._woken(call, min(self.timer() + wait, deadline - _LOOK_SECONDS))
                if isinstance(found, Standing):
                    return Reply(refusal=self._not_live(call.dataset, found), waited=wait or None)
                target = found
            await self.usage.note(call.dataset)
            reply = await self._passed_on(target, call.headers, body, deadline)
            return Reply(reply.answer, reply.refusal, wait or None)
        except TooLargeError:
            return Reply(refusal=Refusal(413, "BodyTooLarge", f"the body has more than {self.max_body} bytes"))
        except EndpointVanishedError as error:
            log.warning("gateway: dataset %s: %s", call.dataset, error)
            await asyncio.to_thread(self.keeper.look_again, error.tuning)
            return Reply(refusal=_UNREACHABLE)
        except DroptuneError as error:
            log.warning("gateway: dataset %s: %s", call.dataset, error)
            retry_after = error.retry_after if isinstance(error, TransientError) else 15.0
            return Reply(refusal=Refusal(503, "TryLater", "the endpoint can not be looked up now", retry_after))

    async def _woken(self, call: Call, until: float) -> Target | Standing:
        """The endpoint, if it is live before `until` and the caller waits; else how the dataset stands."""
        dataset = call.dataset
        while True:
            standing = await asyncio.to_thread(self.keeper.wake, dataset, CALLER)
            if standing.situation is Situation.LIVE and (target := await self.directory.find(dataset)) is not None:
                return target
            left = until - self.timer()
            if left <= 0 or standing.situation not in (Situation.COMING, Situation.GOING, Situation.LIVE):
                return standing
            if await call.left():
                return standing
            await asyncio.sleep(min(_LOOK_SECONDS, left))

    async def _passed_on(self, target: Target, headers: Headers, body: Body, deadline: float) -> Reply:
        """Sent again only where the endpoint can not have had the request, or has refused it unread."""
        tried_again = False
        while True:
            try:
                answer = await self.upstream.send(target, headers, body, max(0.1, deadline - self.timer()))
            except NotConnectedError as error:
                problem = f"it can not be connected to: {error}"
                unread = True
            except BrokenOffError as error:
                return _refused(target, 502, "EndpointBroke", f"the endpoint broke the connection off: {error}")
            except SlowAnswerError:
                message = f"the endpoint gave no answer within {self.timeout:g} s"
                return _refused(target, 504, "EndpointTimeout", message)
            else:
                if answer.status != 401 and answer.status not in _GONE:
                    return await self._answered(target, answer)
                await answer.aclose()
                problem = f"it answered {answer.status}"
                unread = body.again
            fresh = await self.directory.find_again(target)
            changed = fresh is not None and fresh != target
            if fresh is None:
                standing = await asyncio.to_thread(self.keeper.wake, target.dataset, CALLER)
                return Reply(refusal=self._not_live(target.dataset, standing))
            if tried_again or not unread or not (changed or problem.startswith("it can not")):
                log.warning("gateway: endpoint %s: %s", target.endpoint, problem)
                await asyncio.to_thread(self.keeper.look_again, target.tuning)
                return Reply(refusal=_UNREACHABLE)
            log.info("gateway: endpoint %s: %s; once more to %s", target.endpoint, problem, fresh.endpoint)
            target, tried_again = fresh, True

    async def _answered(self, target: Target, answer: Answer) -> Reply:
        if 300 <= answer.status < 400:
            await answer.aclose()
            return _refused(target, 502, "EndpointRedirects", "the endpoint answered with a redirect")
        return Reply(answer=Answer(answer.status, to_caller(answer.headers), answer.chunks, answer.aclose))

    def _not_live(self, dataset: str, standing: Standing) -> Refusal:
        tuning = standing.tuning
        details = described(self.keeper, standing)
        if standing.situation is Situation.UNKNOWN:
            return Refusal(404, "NotFound", f"there is no dataset {dataset[:100]!a}")
        if standing.situation is Situation.NEVER_LIVE:
            state = f"its newest tuning {tuning.id} is {tuning.state}" if tuning else "its files are being collected"
            return Refusal(409, "NeverLive", f"the dataset never had a live model: {state}", details=details)
        if standing.situation is Situation.BROKEN:
            assert tuning is not None
            message = f"its last model could not be deployed again: {tuning.id} is {tuning.state}"
            return Refusal(409, "NotLive", message, details=details)
        seconds = self.keeper.seconds_to_live(standing)
        messages = {
            Situation.GOING: "the endpoint was unused and is being deleted; it can be woken after that",
            Situation.LIVE: "the endpoint has just come up",
        }
        message = messages.get(standing.situation, "the model is being deployed")
        return Refusal(503, "Waking", f"{message}; ask again in {seconds:.0f} s", seconds, details)


def _refused(target: Target, status: int, code: str, message: str) -> Reply:
    log.warning("gateway: dataset %s, endpoint %s: %s", target.dataset, target.endpoint, message)
    return Reply(refusal=Refusal(status, code, message))
