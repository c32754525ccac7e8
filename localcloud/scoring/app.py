"""The two routes of a scoring container: is it ready, and an answer."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from localcloud.scoring import request as scoring_request
from localcloud.scoring.generation import RefusedConversationError
from localcloud.scoring.request import BadRequestError

if TYPE_CHECKING:
    from starlette.requests import Request

    from localcloud.scoring.generation import Generator
    from localcloud.scoring.request import ScoringRequest

log = logging.getLogger(__name__)


class ScoringApp:
    """Answers 503 until `generator` is set, which whoever loads the model does."""

    def __init__(self) -> None:
        self.generator: Generator | None = None
        self.routes = [
            Route("/health", self.health, methods=["GET"]),
            Route("/score", self.score, methods=["POST"]),
        ]

    async def health(self, _: Request) -> Response:
        if self.generator is None:
            return PlainTextResponse("The model is being loaded.", status_code=503)
        return PlainTextResponse("Healthy")

    async def score(self, request: Request) -> Response:
        if self.generator is None:
            return PlainTextResponse("The model is being loaded.", status_code=503)
        started = time.perf_counter()
        try:
            asked = scoring_request.parse(await request.body())
            outputs = await asyncio.to_thread(_answers, self.generator, asked)
        except (BadRequestError, RefusedConversationError) as error:
            log.info("refused: %s", type(error).__name__)
            return PlainTextResponse(str(error), status_code=400)
        log.info("answered %d conversations in %.2f s", len(outputs), time.perf_counter() - started)
        return JSONResponse(scoring_request.answer(asked.conversations, outputs))


def _answers(generator: Generator, asked: ScoringRequest) -> list[str]:
    return [
        generator.answer(
            [{"role": message.role, "content": message.content} for message in conversation], asked.sampling
        )
        for conversation in asked.conversations
    ]


def starlette_app(app: ScoringApp) -> Starlette:
    return Starlette(routes=app.routes)
