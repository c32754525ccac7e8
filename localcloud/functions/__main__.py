"""The command line of the local Functions host."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.functions.app_settings import SettingsError
from localcloud.functions.engine import IndexingError
from localcloud.functions.host_log import configure_logging
from localcloud.functions.server import Options, Prepared, prepare, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


def parse_arguments(arguments: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m localcloud.functions", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="directory of function_app.py and host.json")
    parser.add_argument("--port", type=int, required=True, help="on 127.0.0.1")
    parser.add_argument("--settings", type=Path, required=True, help="app settings, a flat JSON object")
    parser.add_argument("--keys", type=Path, required=True, help="access keys; created when it does not exist")
    parser.add_argument("--state", type=Path, required=True, help="directory that belongs to this host alone")
    parser.add_argument("--engine", choices=("sdk", "runtime"), default="sdk")
    parser.add_argument(
        "--message-lease",
        type=int,
        default=600,
        help="seconds that a message stays invisible when its host dies (default: 600)",
    )
    parser.add_argument(
        "--grace", type=float, default=5.0, help="seconds that running functions get at the end (default: 5)"
    )
    found = parser.parse_args(arguments)
    if found.message_lease < 1:
        parser.error("--message-lease must be at least 1")
    return Options(
        app=found.app.resolve(),
        port=found.port,
        settings=found.settings.resolve(),
        keys=found.keys.resolve(),
        state=found.state.resolve(),
        engine=found.engine,
        message_lease=found.message_lease,
        grace=found.grace,
    )


def main() -> int:
    options = parse_arguments()
    configure_logging()
    try:
        prepared = prepare(options)
    except (SettingsError, IndexingError) as error:
        log.critical("%s", error)
        return 1
    asyncio.run(_serve(prepared))
    return 0


async def _serve(prepared: Prepared) -> None:
    if not await serve(prepared):
        log.warning("not everything ended in time; messages in work come back after their lease")
        logging.shutdown()
        os._exit(0)  # threads can not be stopped, and a normal exit would wait for them


if __name__ == "__main__":
    sys.exit(main())
