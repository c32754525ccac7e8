"""HTTP: score through the dataset's stable address, whatever endpoint is live, and wake one that sleeps."""

import asyncio
import math

import azure.functions as func

from handlers.http import Request, Response, StreamingResponse, announced_length, error_answer

blueprint = func.Blueprint()


@blueprint.function_name("score")
@blueprint.route(route="score/{dataset}", methods=["POST"])
async def score(req: Request) -> Response:
    from shared.gateway.gateway import Call
    from shared.services import services

    found = services()
    # Putting it together imports what the first call needs; later calls need no thread for it.
    gateway = found.gateway if "gateway" in vars(found) else await asyncio.to_thread(lambda: found.gateway)
    call = Call(req.path_params["dataset"], req.headers.raw, req.stream(), announced_length(req), req.is_disconnected)
    reply = await gateway.score(call)
    more = {} if reply.waited is None else {"Preference-Applied": f"wait={reply.waited}"}
    if reply.refusal is not None:
        refusal = reply.refusal
        if refusal.retry_after is not None:
            more["Retry-After"] = str(math.ceil(refusal.retry_after))
        return error_answer(refusal.status, refusal.code, refusal.message, more, refusal.details)
    assert reply.answer is not None, "a reply without a refusal has an answer"
    response = StreamingResponse(reply.answer.chunks, reply.answer.status)
    response.raw_headers = [*reply.answer.headers, *((k.lower().encode(), v.encode()) for k, v in more.items())]
    return response
