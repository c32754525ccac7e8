"""When the host is to die, and what it did: two files that outlive it, `plan.json` and one journal per run."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

When = Literal["before", "after"]


@dataclass(frozen=True, order=True)
class Moment:
    """Before or after a side effect. `state` is the tuning's in the ledger, empty until it has a row;
    `occurrence` counts the effects of one name in one state, from 1; 0 in a plan: the first that comes.
    """

    state: str
    name: str
    occurrence: int
    when: When

    def __str__(self) -> str:
        number = f" (no. {self.occurrence})" if self.occurrence > 1 else ""
        return f"{self.when} [{self.state or 'collecting'}] {self.name}{number}"


@dataclass(frozen=True)
class Plan:
    """Each moment kills once. `numbers`: also at the so manieth moment of the run, whatever it is."""

    run: str
    moments: tuple[Moment, ...] = ()
    numbers: tuple[int, ...] = ()

    def save(self, folder: Path) -> None:
        """Takes effect with the next side effect."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / "plan.draft"
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(folder / "plan.json")

    @staticmethod
    def load(folder: Path) -> Plan | None:
        try:
            raw = json.loads((folder / "plan.json").read_text())
        except FileNotFoundError:
            return None
        return Plan(raw["run"], tuple(Moment(**moment) for moment in raw["moments"]), tuple(raw["numbers"]))


@dataclass(frozen=True)
class Entry:
    """`status` is the answer's, 0 before there is one. `killed`: the process died here."""

    moment: Moment
    status: int = 0
    killed: bool = False


@dataclass
class Journal:
    """What happened in one run, over all lives of the process."""

    file: Path
    state: str = ""
    count: int = 0
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    killed: list[tuple[Moment, int]] = field(default_factory=list)
    """With the number of the moment in the run."""

    @staticmethod
    def open(folder: Path, run: str) -> Journal:
        journal = Journal(folder / f"{run}.jsonl")
        for entry, state in _read(journal.file):
            journal._count(entry, state)
        return journal

    def begun(self, name: str) -> Moment:
        """The moment before an effect."""
        return Moment(self.state, name, self.seen[self.state, name] + 1, "before")

    def add(self, entry: Entry, state: str = "") -> None:
        """One write, so that lines of dying processes are whole. `state`: the tuning's from now on."""
        self._count(entry, state)
        line = json.dumps({**asdict(entry), "new_state": state}) + "\n"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def deadly(self, plan: Plan, moment: Moment) -> bool:
        """Whether the plan says to die at this moment, which is the newest."""
        dead = {killed for killed, _ in self.killed}
        for wanted in plan.moments:
            if wanted.occurrence == 0:
                met = any(_same(killed, wanted) for killed in dead)
                if not met and _same(moment, wanted):
                    return True
            elif moment == wanted and wanted not in dead:
                return True
        return self.count in plan.numbers

    def _count(self, entry: Entry, state: str) -> None:
        moment = entry.moment
        if entry.killed:
            self.killed.append((moment, self.count))
            return
        self.count += 1
        if moment.when == "before":
            self.seen[moment.state, moment.name] += 1
        if state and entry.status < 300:
            self.state = state


def entries(folder: Path, run: str) -> list[Entry]:
    return [entry for entry, _ in _read(folder / f"{run}.jsonl")]


def _read(file: Path) -> Iterator[tuple[Entry, str]]:
    if not file.exists():
        return
    for line in file.read_text().splitlines():
        raw = json.loads(line)
        yield Entry(Moment(**raw["moment"]), raw["status"], raw["killed"]), raw["new_state"]


def _same(moment: Moment, wanted: Moment) -> bool:
    return (moment.state, moment.name, moment.when) == (wanted.state, wanted.name, wanted.when)
