"""A function app with HTTP streams, whose functions get the types of droptune's web extension."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import azure.functions as func

from handlers.http import Request, Response, StreamingResponse, body, json_answer

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("items/{id:int?}", methods=["GET", "POST"])
def items(req: Request) -> Response:
    """Not async: the worker runs it on a thread."""
    answer = {
        "method": req.method,
        "query": dict(req.query_params),
        "route": dict(req.path_params),
        "header": req.headers.get("x-sample"),
        "cookies": dict(req.cookies),
    }
    return json_answer(answer, 203, {"x-answer": "yes"})


@app.route("echo", methods=["POST"])
async def echo(req: Request) -> Response:
    return Response(await body(req, 1000))


@app.route("receives", methods=["POST"])
async def receives(req: Request) -> Response:
    """Each piece of the body is written to the file as it comes."""
    with open(req.query_params["file"], "ab", buffering=0) as file:
        async for chunk in req.stream():
            file.write(chunk)
    return Response("received")


@app.route("sends")
async def sends(req: Request) -> Response:
    """A second event once the file is there."""

    async def events() -> AsyncIterator[bytes]:
        yield b"data: one\n\n"
        while not Path(req.query_params["file"]).exists():
            await asyncio.sleep(0.01)
        yield b"data: two\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


@app.route("waits")
async def waits(req: Request, context: func.Context) -> Response:
    """Until the caller has gone."""
    while not await req.is_disconnected():
        await asyncio.sleep(0.01)
    open(req.query_params["file"], "w").close()
    return Response(context.invocation_id)


@app.route("broken")
def broken(req: Request) -> Response:
    raise KeyError("as the test asked")
