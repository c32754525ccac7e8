"""How long a new instance imports until it could take its first event, and with how much memory.

    python -m benchmarks.coldstart            # 7 rounds, about half a minute

Each figure is of a fresh process of its own; a round measures every contender once, in turning order, so that
ratios compare what ran next to each other. What ships is measured as `make package` builds it, byte-compiled; the
packages of the environment were compiled by pip.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAIVE = ROOT / "benchmarks" / "naive"

TRIGGERS = "import azure.functions, azurefunctions.extensions.bindings.blob, starlette.requests, starlette.responses"
"""What the functions' own triggers and bindings can not do without; the types of HTTP streaming are Starlette's."""
APP = "import function_app"

_MEASURE = """
import json, resource, sys, time
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
sys.path.insert(0, sys.argv[1])
before, known, started = peak(), len(sys.modules), time.perf_counter()
exec(sys.argv[2])
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "mib": peak() - before, "modules": len(sys.modules) - known}))
"""


@dataclass(frozen=True)
class Contender:
    name: str
    statement: str
    folder: Path


@dataclass(frozen=True)
class Started:
    """`mib` is the peak above what the bare interpreter has."""

    seconds: float
    mib: float
    modules: int


def package(target: Path) -> Path:
    """What ships, as `make package` makes it."""
    command = ["make", "--no-print-directory", "-C", str(ROOT), "package", f"PACKAGE={target}"]
    subprocess.run([*command, f"PYTHON={sys.executable}"], check=True, capture_output=True)
    return target


def without_byte_code(folder: Path, target: Path) -> Path:
    for file in folder.rglob("*.py"):
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    return target


def start(contender: Contender) -> Started:
    """-I: nothing of this shell's environment counts; -B: nothing is compiled for the next round."""
    command = [sys.executable, "-I", "-B", "-c", _MEASURE, str(contender.folder), contender.statement]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=contender.folder)
    return Started(**json.loads(done.stdout))


def rounds(contenders: list[Contender], count: int) -> dict[str, list[Started]]:
    """One more round comes first and is not counted: it fills the page cache."""
    found: dict[str, list[Started]] = defaultdict(list)
    for number in range(count + 1):
        turn = number % len(contenders)
        for contender in (*contenders[turn:], *contenders[:turn]):
            started = start(contender)
            if number:
                found[contender.name].append(started)
    return {contender.name: found[contender.name] for contender in contenders}


def table(found: dict[str, list[Started]], triggers: str) -> str:
    lines = [
        "| Imported | ms | MiB | modules | times what the triggers take (spread) |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, started in found.items():
        milliseconds = statistics.median(one.seconds for one in started) * 1000
        memory = statistics.median(one.mib for one in started)
        ratio = spread(started, found[triggers])
        lines.append(f"| {name} | {milliseconds:,.0f} | {memory:,.0f} | {started[0].modules:,} | {ratio} |")
    return "\n".join(lines)


def spread(these: list[Started], those: list[Started]) -> str:
    """Median, lowest and highest ratio of the pairs."""
    ratios = sorted(one.seconds / other.seconds for one, other in zip(these, those, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compiled = package(Path(folder) / "package")
        plain = without_byte_code(compiled, Path(folder) / "plain")
        names = "the triggers alone", "droptune, as packaged", "droptune, own files not compiled", "the naive app"
        found = rounds(
            [
                Contender(names[0], TRIGGERS, compiled),
                Contender(names[1], APP, compiled),
                Contender(names[2], APP, plain),
                Contender(names[3], APP, NAIVE),
            ],
            arguments.rounds,
        )
    print(f"{arguments.rounds} paired rounds\n\n{table(found, names[0])}\n")
    print(f"The naive app takes {spread(found[names[3]], found[names[1]])} times as long as droptune.")


if __name__ == "__main__":
    main()
