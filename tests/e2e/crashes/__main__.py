"""make crash: the Functions host killed before and after every side effect of a main job, then at random moments.

Ends with 1 unless every main job ended as an undisturbed one does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.e2e.crashes.cloud import CrashCloud, crash_cloud
from tests.e2e.crashes.enumeration import TRIES, Outcome, Reference, at_random, kill_at_each, reference

REFERENCES = 3
KILLS = 20
DATASETS = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.crashes", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th side effect")
    parser.add_argument("--state", type=Path, help="keep the cloud's files here")
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, crash_cloud(arguments.state or Path(folder)) as cloud:
        right = _run(cloud, arguments.every, arguments.seed)
    print(f"\n{time.monotonic() - begun:.0f} s; {'all the same' if right else 'NOT THE SAME'}")
    return 0 if right else 1


def _run(cloud: CrashCloud, every: int, seed: int) -> bool:
    known = reference(cloud, REFERENCES)
    print(
        f"A main job has {len(known.effects)} side effects ({known.doubles} more in some of {REFERENCES} runs: "
        "looks that were asked for twice).",
        flush=True,
    )
    passes = [_pass(cloud, when, known, every) for when in ("before", "after")]
    same, kills = _random(cloud, seed, known)
    deaths = cloud.deaths
    wanted = sum(outcome.kills for outcomes in passes for outcome in outcomes) + kills
    others = [death for death in deaths if death != "-9"]
    print(f"deaths of the host: {len(deaths)}, by SIGKILL {len(deaths) - len(others)}, others {others or 'none'}")
    right = all(outcome.same or outcome.unmet for outcomes in passes for outcome in outcomes)
    return right and same and len(deaths) == wanted and not others


def _pass(cloud: CrashCloud, when: str, known: Reference, every: int) -> list[Outcome]:
    effects = [replace(moment, when="after") if when == "after" else moment for moment in known.effects[::every]]
    print(f"\nkilled {when} each:", flush=True)
    first = 0 if when == "before" else 1000
    outcomes = kill_at_each(cloud, effects, known.end, _say, first)
    _sum_up(when, outcomes)
    return outcomes


def _say(number: int, outcome: Outcome) -> None:
    word = "same end" if outcome.same else "not met" if outcome.unmet else "WRONG"
    lost = f"  (not noted: {'; '.join(outcome.lost)})" if outcome.lost else ""
    print(f"{number:4d}  {word}  {outcome.seconds:5.1f} s  {outcome.moment}{lost}", flush=True)
    for line in outcome.differences:
        print(f"        {line}", flush=True)


def _sum_up(when: str, outcomes: Sequence[Outcome]) -> None:
    kills = sum(outcome.kills for outcome in outcomes)
    same = sum(outcome.same for outcome in outcomes)
    met = [outcome for outcome in outcomes if not outcome.unmet]
    print(f"{when}: {len(met)} side effects, {kills} kills, {same} same end states", end="", flush=True)
    if unmet := len(outcomes) - len(met):
        print(f" ({unmet} more looks of slower runs were not met again in {TRIES} runs)", end="")
    print(flush=True)


def _random(cloud: CrashCloud, seed: int, known: Reference) -> tuple[bool, int]:
    begun = time.monotonic()
    kills, ends = at_random(cloud, seed=seed, kills=KILLS, datasets=DATASETS, known=known, deadline=900)
    different = {dataset: found for dataset, end in ends.items() if (found := end.differences(known.end))}
    print(
        f"\nseed {seed}: {len(ends)} datasets at once, {kills} kills at random moments, "
        f"{len(ends) - len(different)} same end states, {time.monotonic() - begun:.0f} s"
    )
    for dataset, lines in different.items():
        print(f"  {dataset}: {'; '.join(lines)}")
    return not different and kills == KILLS, kills


if __name__ == "__main__":
    sys.exit(main())
