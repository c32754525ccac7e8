"""python -m localcloud.scoring --model DIR --port N

Listens at once and loads the model in the background. Ends with 1 if the model can not be loaded.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import sys
from pathlib import Path

import uvicorn

from localcloud.scoring.app import ScoringApp, starlette_app
from localcloud.scoring.generation import Generator
from localcloud.training.model_folder import ModelFolderError, find_model
from localcloud.training.runtime import log_to_stderr, prepare

log = logging.getLogger(__name__)


async def serve(folder: Path, port: int) -> int:
    """Until a signal ends it. Returns the exit code."""
    app = ScoringApp()
    server = uvicorn.Server(
        uvicorn.Config(starlette_app(app), host="127.0.0.1", port=port, log_level="warning", access_log=False)
    )
    loading = asyncio.create_task(asyncio.to_thread(Generator.load, folder))

    def loaded(task: asyncio.Task[Generator]) -> None:
        if task.cancelled() or task.exception() is not None:
            server.should_exit = True
            return
        app.generator = task.result()
        log.info("the model is loaded")

    loading.add_done_callback(loaded)
    await server.serve()
    if not server.started:
        return 1
    if not loading.done():
        loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading  # raises what loading raised
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m localcloud.scoring", description="Serve one model.")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR")
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    log_to_stderr()
    prepare()
    try:
        find_model(arguments.model)  # fails before the port is open
        return asyncio.run(serve(arguments.model, arguments.port))
    except ModelFolderError as error:
        print(f"The model can not be served: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
