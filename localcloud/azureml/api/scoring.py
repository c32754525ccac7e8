"""The scoring data plane: POST /inference/{endpoint}/score with the endpoint's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from localcloud.azureml.serving import new_request_id

if TYPE_CHECKING:
    from starlette.requests import Request

    from localcloud.azureml.serving import Serving


def routes(serving: Serving) -> list[Route]:
    async def score(request: Request) -> Response:
        scored = await serving.score(
            request.path_params["endpoint"],
            request.headers.get("authorization", "").removeprefix("Bearer ").strip(),
            request.headers.get("azureml-model-deployment"),
            await request.body(),
            request.headers.get("content-type", "application/json"),
        )
        headers = {"x-request-id": new_request_id(), **scored.headers}
        if scored.deployment:
            headers["azureml-model-deployment"] = scored.deployment
        return Response(scored.body, scored.status, headers, scored.content_type)

    return [Route("/inference/{endpoint}/score", score, methods=["POST"])]
