"""A function app with every kind of trigger. What its functions see goes to the file RECORD, a line of JSON each."""

import json
import logging
import os
import time
from http.cookies import SimpleCookie
from typing import Any, List  # noqa: UP035 - the Python worker refuses Out[list[str]]

import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()


def record(function: str, **seen: Any) -> None:
    line = json.dumps({"function": function, "at": time.time(), "pid": os.getpid(), **seen}) + "\n"
    with open(os.environ["RECORD"], "a") as file:
        file.write(line)


def refuse_if(asked: object) -> None:
    if asked:
        raise RuntimeError("as the test asked")


@app.route("items/{id:int?}", methods=["GET", "POST"], auth_level=func.AuthLevel.ANONYMOUS)
def items(req: func.HttpRequest) -> func.HttpResponse:
    answer = {
        "method": req.method,
        "url": req.url,
        "params": dict(req.params),
        "route": dict(req.route_params),
        "header": req.headers.get("x-sample"),
        "body": req.get_body().decode(),
    }
    cookie = SimpleCookie({"flavour": "lemon"})
    headers = {"x-answer": "yes", "Set-Cookie": cookie["flavour"].OutputString()}
    return func.HttpResponse(json.dumps(answer), status_code=203, headers=headers, mimetype="application/json")


@app.route("items/special", methods=["GET"], auth_level="anonymous")
def special(req: func.HttpRequest) -> str:
    return "special"


@app.route("files/{*path}", auth_level="anonymous")
async def files(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.route_params.get("path", "none"))


@app.route()
def guarded(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(context.function_name + " " + context.invocation_id)


@app.route(auth_level=func.AuthLevel.ADMIN)
def master_only(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("master")


@app.route(auth_level="anonymous")
def broken(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("about to break")
    raise KeyError("as the test asked")


@app.route(auth_level="anonymous")
def returns_nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None  # type: ignore[return-value]  # what a forgotten return does


@app.event_grid_trigger("event")
def on_event(event: func.EventGridEvent) -> None:
    data = event.get_json()
    record("on_event", id=event.id, subject=event.subject, type=event.event_type, data=data)
    refuse_if(data.get("fail"))


@app.event_grid_trigger("event")
def on_cloud_event(event: func.CloudEvent) -> None:
    record("on_cloud_event", id=event.id, subject=event.subject, type=event.type, data=event.get_json())


@app.blob_trigger("client", path="incoming/{folder}/{name}", connection="STORAGE", source=func.BlobSource.EVENT_GRID)
def on_blob(client: blob.BlobClient) -> None:
    found = client.get_blob_properties()
    record("on_blob", container=found.container, name=found.name, size=found.size)
    refuse_if("bad" in found.name)


@app.blob_trigger("stream", path="streams/{name}.txt", connection="STORAGE", source=func.BlobSource.EVENT_GRID)
@app.queue_output("out", queue_name="%APP%-seen", connection="STORAGE")
def on_stream(stream: func.InputStream, out: func.Out[str]) -> None:
    record("on_stream", name=stream.name, uri=stream.uri, length=stream.length, text=stream.read().decode())
    out.set(f"saw {stream.name}")


@app.queue_trigger("msg", queue_name="%APP%-work", connection="STORAGE")
def on_message(msg: func.QueueMessage, context: func.Context) -> None:
    body = msg.get_json()
    seen = {"case": body["case"], "dequeue_count": msg.dequeue_count, "invocation": context.invocation_id}
    record("on_message", phase="start", id=msg.id, inserted=str(msg.insertion_time), **seen)
    refuse_if(body.get("fail", 0) >= (msg.dequeue_count or 0))
    time.sleep(body.get("sleep", 0))
    record("on_message", phase="end", **seen)


@app.queue_trigger("msg", queue_name="%APP%-in", connection="STORAGE")
@app.queue_output("copies", queue_name="%APP%-copies", connection="STORAGE")
@app.blob_output("file", path="outputs/{name}/{rand-guid}.json", connection="STORAGE")
def outputs(msg: func.QueueMessage, copies: func.Out[List[str]], file: func.Out[str]) -> None:  # noqa: UP006
    copies.set([msg.get_body().decode()] * 2)
    file.set("written")


@app.queue_trigger("text", queue_name="%APP%-text", connection="STORAGE")
async def on_text(text: str) -> None:
    record("on_text", text=text)


def status_of(timer: func.TimerRequest) -> Any:
    return timer.schedule_status  # type: ignore[attr-defined]  # only the implementation has it


@app.timer_trigger("timer", schedule="* * * * * *")
def every_second(timer: func.TimerRequest) -> None:
    record("every_second", past_due=timer.past_due, status=status_of(timer))


@app.timer_trigger("timer", schedule="%EVERY_SECOND%")
def slow_tick(timer: func.TimerRequest) -> None:
    record("slow_tick", phase="start")
    time.sleep(1.3)
    record("slow_tick", phase="end")


@app.timer_trigger("timer", schedule="0 0 0 1 Jan *")
def yearly(timer: func.TimerRequest) -> None:
    record("yearly", past_due=timer.past_due, status=status_of(timer))


@app.timer_trigger("timer", schedule="0 0 0 1 Jan *")
def yearly_rescheduled(timer: func.TimerRequest) -> None:
    record("yearly_rescheduled")


@app.timer_trigger("timer", schedule="0 0 0 1 1 *", run_on_startup=True, use_monitor=False)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def retrying(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context.retry_count
    record("retrying", retry=retry, most=context.retry_context.max_retry_count)
    refuse_if(retry < 2)
