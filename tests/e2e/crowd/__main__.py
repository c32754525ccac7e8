"""make crowd: 200 datasets dropped at once. Ends with 1 unless all are live, each with one of everything."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.e2e.crowd.crowd import Crowd, crowd

SECONDS_EACH = 15


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.crowd", description=__doc__)
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--limit", type=int, default=10, help="MAX_ACTIVE_JOBS (default: 10)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = crowd(Path(folder), arguments.datasets, arguments.limit, 120 + SECONDS_EACH * arguments.datasets)
    _show(result)
    right = result.states == {"live": result.datasets} and not result.doubled and result.most_jobs <= result.limit
    return 0 if right else 1


def _show(result: Crowd) -> None:
    print(f"{result.datasets} datasets at once, all over after {result.seconds:.0f} s")
    for state, count in sorted(result.states.items()):
        print(f"  {state:<20}{count:>6}")
    print(f"  not one of each     {len(result.doubled):>6}  {' '.join(result.doubled)}")
    print(f"jobs at once        {result.most_jobs:>8} of {result.limit} allowed")
    print(f"in the line         {result.most_waiting:>8} at most; the last one: {result.said!r}")
    print(f"out of order by     {result.out_of_order:>8} places at most")
    print("calls per dataset")
    for kind, count in sorted(result.calls.items()):
        print(f"  {kind:<40}{count / result.datasets:>8.1f}")
    print(f"  (with {result.looks} looks from outside)")
    print("peak memory, MiB")
    for process, peak in result.memory.items():
        print(f"  {process:<20}{peak:>8.0f}")


if __name__ == "__main__":
    sys.exit(main())
