"""How fast a split is validated, against other ways of merely reading it: same file, same run, one process each.

    python -m benchmarks.validation                       # 1.4 GB, 5 rounds
    python -m benchmarks.validation --rows 30000 --only droptune,orjson

A round measures every contender once, in turning order, so that ratios compare what ran next to each other; the
table has medians over the rounds. Files are made by `benchmarks.corpus` and kept in `--folder` until `--clean`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.contenders import CONTENDERS, Measured
from benchmarks.corpus import TRAIN_ROWS, write

SLOW = ("pandas", "pandas_chunks", "datasets")
"""Take part in `--slow-rounds` only: one of them needs half a minute and 6 GB for 1.4 GB."""


def corpus(folder: Path, rows: int) -> Path:
    path = folder / f"train_sft-{rows}.jsonl"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"making {path} …", file=sys.stderr)
        write(path, rows)
    _warm(path)
    return path


def _warm(path: Path) -> None:
    """Into the page cache."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


def run(name: str, path: Path, *, one_core: bool) -> Measured:
    """In a fresh process, on one core if asked, with one thread where the library can be told so."""
    threads = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "HF_DATASETS_OFFLINE": "1"} if one_core else {}
    command = [sys.executable, "-m", "benchmarks.contenders", name, str(path)]
    with tempfile.TemporaryDirectory() as cache:
        found = subprocess.run(
            ["taskset", "-c", "0", *command] if one_core else command,
            env={**os.environ, **threads, "HF_HOME": cache},
            check=True,
            capture_output=True,
            text=True,
        )
    return Measured(**json.loads(found.stdout.splitlines()[-1]))


def rounds(names: list[str], path: Path, count: int, slow: int, *, one_core: bool) -> dict[str, dict[int, Measured]]:
    """By contender and by round."""
    found: dict[str, dict[int, Measured]] = defaultdict(dict)
    for number in range(count):
        turn = number % len(names)
        for name in (*names[turn:], *names[:turn]):
            if name in SLOW and number >= slow:
                continue
            found[name][number] = run(name, path, one_core=one_core)
            print(f"round {number + 1} {name}: {found[name][number].seconds:.2f} s", file=sys.stderr)
    return found


def table(found: dict[str, dict[int, Measured]], size: int) -> str:
    """Markdown. The ratio is droptune's speed by the contender's, round by round."""
    ours = found.get("droptune", {})
    lines = [
        "| Way | MB/s | MB per CPU second | peak MiB above import | droptune is … times as fast | rounds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, by_round in found.items():
        speed = statistics.median(size / 1e6 / one.seconds for one in by_round.values())
        processor = statistics.median(size / 1e6 / one.processor_seconds for one in by_round.values())
        peak = statistics.median(one.peak_mib for one in by_round.values())
        ratios = sorted(one.seconds / ours[number].seconds for number, one in by_round.items() if number in ours)
        spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})" if ratios else ""
        lines.append(f"| {name} | {speed:,.0f} | {processor:,.0f} | {peak:,.0f} | {spread} | {len(by_round)} |")
    return "\n".join(lines)


def main() -> None:
    names = [contender.__name__ for contender in CONTENDERS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=TRAIN_ROWS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow-rounds", type=int, default=3, help=f"of {', '.join(SLOW)}")
    parser.add_argument("--only", default=",".join(names), help="contenders, with commas")
    parser.add_argument("--all-cores", action="store_true", help="else every contender is kept on one core")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "droptune-benchmarks")
    parser.add_argument("--clean", action="store_true", help="delete the file afterwards")
    arguments = parser.parse_args()
    path = corpus(arguments.folder, arguments.rows)
    size = path.stat().st_size
    found = rounds(
        arguments.only.split(","), path, arguments.rounds, arguments.slow_rounds, one_core=not arguments.all_cores
    )
    print(f"{arguments.rows:,} rows, {size:,} bytes\n\n{table(found, size)}")
    if arguments.clean:
        path.unlink()


if __name__ == "__main__":
    main()
