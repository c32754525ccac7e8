"""`make up`: the local cloud with droptune in it, staying up for playing. Ctrl-C stops everything."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from rich.console import Console

from demo.dialogues import write_dataset
from demo.local_settings import write_local_settings
from demo.topology import ROOT, TRACED, Topology, prepare_storage
from localcloud.ports import PortInUseError
from localcloud.processes import AlreadyRunningError, StackError
from localcloud.stack import LocalCloud

PATIENT = {"IDLE_AFTER_MINUTES": "15", "IDLE_GRACE_MINUTES": "5"}
"""Longer than in the demo, so that an endpoint lives while somebody plays with it."""

_TEXT = """\
[bold]The local cloud is up.[/] Ctrl-C stops it; its state stays in {state} for the next start.

  dashboard    {functions}/api/dashboard?code={key}
  app          {functions}/api/tunings?code={key}
  endpoints    {functions}/api/endpoints?code={key}
  Azure ML     {azure}   (certificate authority: {ca})
  logs         {state}/logs
  traces       .venv/bin/python -m demo.trace {state}
  commands     export DROPTUNE_URL={functions} DROPTUNE_KEY={key}
               .venv/bin/python -m cli status --watch

[bold]Drop a dataset[/] (a sample lies in {sample}):

  export AZURE_STORAGE_CONNECTION_STRING='{connection}'
  export REQUESTS_CA_BUNDLE={ca}
  az storage blob upload-batch -d datasets --destination-path booking-desk/v1 -s {sample}

or without the Azure CLI:  .venv/bin/python -m demo.upload {sample} booking-desk v1
An endpoint that nobody calls for {idle} minutes is marked, and deleted {grace} minutes later.
{host}Azure Storage Explorer takes the same connection string (Edit > SSL Certificates > Import: the file above).
"""


_HOST = """\

[bold]The Functions host is yours to start[/], with Azure Functions Core Tools; these settings hold its addresses:

  cp {settings} local.settings.json && func start --port {port}

"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make up", description=__doc__)
    parser.add_argument("--model", type=Path, help="Hugging Face model folder to fine-tune")
    parser.add_argument("--state", type=Path, default=ROOT / ".localcloud" / "up", help="folder that keeps the state")
    parser.add_argument("--without-host", action="store_true", help="leave the Functions host to `func start`")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    console = Console()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        cloud = Topology(
            state_dir=arguments.state,
            model_path=arguments.model,
            settings=PATIENT | TRACED,
            app_dir=None if arguments.without_host else ROOT,
        ).cloud()
        with console.status("Starting the local cloud"):
            cloud.start()
    except (StackError, AlreadyRunningError, PortInUseError) as error:
        console.print(f"[bold red]It did not start:[/] {error}")
        return 1
    with contextlib.ExitStack() as running:
        running.callback(cloud.stop)
        prepare_storage(cloud)
        os.environ.update(cloud.client_environment())
        sample = arguments.state / "sample-dataset"
        if not sample.exists():
            write_dataset(sample)
        settings = write_local_settings(cloud, arguments.state)
        host = _HOST.format(settings=settings, port=cloud.config.ports.functions) if arguments.without_host else ""
        console.print(_text(cloud, arguments.state, sample, host), highlight=False, soft_wrap=True)
        stopped.wait()
        console.print("stopping")
    return 0


def _text(cloud: LocalCloud, state: Path, sample: Path, host: str) -> str:
    return _TEXT.format(
        state=state,
        functions=cloud.config.functions_url,
        azure=cloud.config.azure_url,
        key=cloud.function_key(),
        ca=cloud.config.ca_file,
        connection=cloud.storage_connection_string(),
        sample=sample,
        host=host,
        idle=PATIENT["IDLE_AFTER_MINUTES"],
        grace=PATIENT["IDLE_GRACE_MINUTES"],
    )


if __name__ == "__main__":
    sys.exit(main())
