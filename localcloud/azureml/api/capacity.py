"""What a subscription may use in a region, and the VM sizes there: what is asked before a deployment is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.azureml import skus
from localcloud.azureml.api.wire import PROVIDER
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.azureml.api.wire import Arm
    from localcloud.azureml.quota import Quota

_LOCATION = "/subscriptions/{subscription}" + PROVIDER + "/locations/{location}"
_TYPE = "Microsoft.MachineLearningServices/vmFamily/dedicatedCores/usages"


def routes(arm: Arm, quota: Callable[[], Quota]) -> list[Route]:
    async def usages(request: Request) -> Response:
        now, path = quota(), request.url.path
        return JSONResponse({"value": [_usage(path, family, *now.cores(family)) for family in sorted(skus.families())]})

    async def sizes(_: Request) -> Response:
        return JSONResponse({"value": [_size(sku) for sku in skus.all_sizes()]})

    return [arm.route("GET", _LOCATION + "/usages", usages), arm.route("GET", _LOCATION + "/vmSizes", sizes)]


def _usage(path: str, family: str, used: int, limit: int) -> dict[str, Any]:
    return {
        "id": f"{path}/{family}",
        "type": _TYPE,
        "unit": "Count",
        "currentValue": used,
        "limit": limit,
        "name": {"value": family, "localizedValue": family},
    }


def _size(sku: skus.Sku) -> dict[str, Any]:
    return {"name": sku.name, "family": sku.family, "vCPUs": sku.cores}
