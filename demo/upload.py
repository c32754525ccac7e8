"""`python -m demo.upload FOLDER DATASET VERSION`: drop a folder of splits into the local cloud of `make up`."""

from __future__ import annotations

import argparse
from pathlib import Path

from demo.app_client import AppClient
from demo.topology import ROOT
from localcloud.config import CloudConfig
from localcloud.stack import LocalCloud


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.upload", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("version")
    parser.add_argument("--state", type=Path, default=ROOT / ".localcloud" / "up")
    arguments = parser.parse_args()
    file = arguments.state / "cloud.json"
    if not file.exists():
        parser.error(f"there is no local cloud in {arguments.state}: start one with `make up`")
    cloud = LocalCloud(CloudConfig.load(file))
    for blob in AppClient(cloud).upload(arguments.folder, arguments.dataset, arguments.version):
        print(f"uploaded datasets/{blob}")


if __name__ == "__main__":
    main()
