"""make soak: 500 main jobs with one fault in ten calls. Ends with 1 unless everything came out right."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.soak.soak import soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--flows", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.getLogger("azure").setLevel(logging.ERROR)  # it tells of every fault
    with tempfile.TemporaryDirectory() as folder:
        result = soak(Path(folder), arguments.flows, arguments.seed)
    share = result.faults / result.requests
    print(f"flows       {result.completed} of {result.flows} completed in {result.seconds:.0f} s")
    print(f"requests    {result.requests}, of which {result.faults} ({share:.1%}) were hit by a fault")
    print(f"crashed     {'yes' if result.crashed else 'no'}")
    print(f"impossible  {len(result.impossible)} states")
    for line in (*result.impossible, *result.complaints):
        print(f"  {line}")
    print(f"left over   {len(result.left)} endpoints")
    print(f"cost        {result.cost:.4f} USD, simulated")
    wrong = result.crashed or result.impossible or result.complaints or result.left
    return 1 if wrong or result.completed != result.flows else 0


if __name__ == "__main__":
    sys.exit(main())
