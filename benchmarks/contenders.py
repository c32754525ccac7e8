"""Ways to read a split of JSON Lines, one per process: time and peak memory above what the import took.

    python -m benchmarks.contenders droptune FILE

What each does beyond reading: `droptune` all checks and the report; the others count rows, which is less. `decoding` is
droptune's own first step alone, so that it can not become faster than that.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

READ_AHEAD = 1 << 20
PANDAS_ROWS = 1_000


@dataclass(frozen=True)
class Measured:
    """`peak_mib` is above the resident memory after the import. Seconds by the wall and of the processor."""

    name: str
    rows: int
    seconds: float
    processor_seconds: float
    peak_mib: float


def droptune() -> Callable[[Path], int]:
    from shared.datasets.local_files import check_file

    return lambda path: check_file(path, "train_sft").valid_rows


def decoding() -> Callable[[Path], int]:
    from shared.datasets.blocks import Block, split_blocks
    from shared.datasets.limits import DEFAULT_LIMITS
    from shared.datasets.local_files import LocalFile
    from shared.datasets.rows import STRICT

    def read(path: Path) -> int:
        parts = split_blocks(
            LocalFile(path), block_bytes=DEFAULT_LIMITS.block_bytes, max_line_bytes=DEFAULT_LIMITS.max_line_bytes
        )
        return sum(len(STRICT.rows(part)) for part in parts if isinstance(part, Block))

    return read


def orjson() -> Callable[[Path], int]:
    """The loop that everybody writes."""
    from orjson import loads

    def read(path: Path) -> int:
        count = 0
        with path.open("rb") as file:
            for line in file:
                loads(line)
                count += 1
        return count

    return read


def orjson_large_buffer() -> Callable[[Path], int]:
    """The same, with a buffer of 1 MiB instead of Python's 8 KiB."""
    from orjson import loads

    def read(path: Path) -> int:
        count = 0
        with path.open("rb", buffering=READ_AHEAD) as file:
            for line in file:
                loads(line)
                count += 1
        return count

    return read


def pandas() -> Callable[[Path], int]:
    from pandas import read_json

    return lambda path: len(read_json(path, lines=True))


def pandas_chunks() -> Callable[[Path], int]:
    from pandas import read_json

    def read(path: Path) -> int:
        with read_json(path, lines=True, chunksize=PANDAS_ROWS) as reader:
            return sum(len(chunk) for chunk in reader)

    return read


def datasets() -> Callable[[Path], int]:
    from datasets import load_dataset

    def read(path: Path) -> int:
        stream = load_dataset("json", data_files=str(path), split="train", streaming=True)
        return sum(1 for _ in stream)

    return read


def polars() -> Callable[[Path], int]:
    import polars as pl

    def read(path: Path) -> int:
        messages = pl.scan_ndjson(path).select(pl.col("messages").list.len())
        return int(messages.collect(engine="streaming").height)

    return read


def duckdb() -> Callable[[Path], int]:
    import duckdb as library

    def read(path: Path) -> int:
        connection = library.connect(config={"threads": 1})
        query = "select count(len(messages)) from read_json(?, format = 'newline_delimited')"
        found = connection.execute(query, [str(path)]).fetchone()
        return int(found[0]) if found else 0

    return read


CONTENDERS = (droptune, decoding, orjson, orjson_large_buffer, pandas, pandas_chunks, datasets, polars, duckdb)


def measure(name: str, path: Path) -> Measured:
    read = {contender.__name__: contender for contender in CONTENDERS}[name]()
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    began, processor = time.perf_counter(), time.process_time()
    rows = read(path)
    seconds, spent = time.perf_counter() - began, time.process_time() - processor
    return Measured(name, rows, seconds, spent, (_status("VmHWM") - before) / 1024)


def _status(field: str) -> int:
    """In KiB, from Linux."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1], Path(sys.argv[2])))))
