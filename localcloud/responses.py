"""JSON answers, serialised by msgspec: an answer of Azure ML is several kilobytes, and most calls are looks."""

from __future__ import annotations

import msgspec
from starlette.responses import Response


class JSONResponse(Response):
    """As Starlette's, for what msgspec can serialise."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return msgspec.json.encode(content)
