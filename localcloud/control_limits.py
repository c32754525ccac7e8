"""The control API's part that changes what is allowed and what fails: /_localcloud/limits."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from localcloud.http import CloudError, json_object
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.limits import CurrentLimits
    from localcloud.http import Handler


def routes(limits: CurrentLimits, route: Callable[[str, str, Handler], Route]) -> list[Route]:
    async def read(_: Request) -> Response:
        return JSONResponse(asdict(limits.now))

    async def change(request: Request) -> Response:
        try:
            return JSONResponse(asdict(limits.change(await json_object(request))))
        except (AttributeError, TypeError, ValueError, re.error) as error:
            raise CloudError(400, "BadRequest", str(error)) from error

    async def reset(_: Request) -> Response:
        return JSONResponse(asdict(limits.reset()))

    return [route("GET", "/limits", read), route("POST", "/limits", change), route("DELETE", "/limits", reset)]
