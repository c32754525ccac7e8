"""What people do during a schedule: upload, overwrite, delete, call endpoints, operate, look, pretend."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.simulation import contents
from tests.simulation.dice import Dice
from tests.simulation.faults import Kind

DATASETS = ("chats", "faq-2")
MINUTE = 60.0
HOUR = 3600.0


@dataclass(frozen=True)
class Upload:
    blob: str
    content: str
    """Name of a content in contents.BY_FILE."""


@dataclass(frozen=True)
class Delete:
    blob: str


@dataclass(frozen=True)
class Calls:
    """Users that call whatever is live for a dataset, every so many seconds."""

    dataset: str
    seconds: float
    every: float


@dataclass(frozen=True)
class CallsThroughTheGateway:
    """Users that call the stable address of a dataset, every so many seconds."""

    dataset: str
    seconds: float
    every: float


@dataclass(frozen=True)
class Operate:
    """An operator's deed; `which` picks from what there is when it happens."""

    kind: Kind
    which: int


@dataclass(frozen=True)
class Strange:
    """An event that is none of ours, or claims to be; `form` is its number in strangers.FORMS."""

    form: int


@dataclass(frozen=True)
class Look:
    """Somebody opens the status page."""


Deed = Upload | Delete | Calls | CallsThroughTheGateway | Operate | Strange | Look


@dataclass(frozen=True)
class Step:
    """`at` in seconds since the start. `id` names it when a schedule is made smaller."""

    id: str
    at: float
    deed: Deed


OPERATIONS = (
    Kind.REPLAYED,
    Kind.REPLAYED,
    Kind.KEPT,
    Kind.ALLOWED,
    Kind.ENDPOINT_DELETED,
    Kind.DEPLOYMENT_DELETED,
    Kind.JOB_CANCELED,
    Kind.APP_DOWN,
    Kind.SQUATTER,
    Kind.STORM_OF_LOOKS,
    Kind.CANCELED,
)
STORMS = 0.06
"""Rarer than the rest: each costs as many looks as all else in a schedule."""
UNSUPPORTED = ("v1/readme.txt", "loose.jsonl", "v1/../v2/train_sft.jsonl")


@dataclass
class _Steps:
    dice: Dice
    found: list[Step] = field(default_factory=list)

    def add(self, at: float, deed: Deed) -> None:
        self.found.append(Step(f"{len(self.found):02d} {type(deed).__name__.lower()}", at, deed))

    def version(self, dataset: str, version: str, start: float, *, calm: bool) -> None:
        """Files in any order within a minute; sometimes bad, overwritten, doubled, deleted, or left out."""
        dice, at = self.dice, start
        files = ["train_sft.jsonl", "test_sft.jsonl"]
        files += ["test_gen.jsonl"] * dice.chance(0.2) + ["tuning.json"] * dice.chance(0.2)
        if not calm and dice.chance(0.05):
            files.pop(dice.below(len(files)))
        while files:
            file = files.pop(dice.below(len(files)))
            good, bad = contents.BY_FILE[file]
            blob = f"{dataset}/{version}/{file}"
            content = dice.choice(tuple(bad if not calm and dice.chance(0.05) else good))
            self.add(at, Upload(blob, content))
            if not calm and dice.chance(0.12):
                later = at + dice.magnitude(1, 3 * HOUR)
                again = dice.choice(tuple(good))
                self.add(later, Upload(blob, again if dice.chance(0.6) else content))
            if not calm and dice.chance(0.04):
                self.add(at + dice.magnitude(1, HOUR), Delete(blob))
            at += dice.between(0, 30)
        if not calm and dice.chance(0.05):
            self.add(at, Upload(f"{dataset}/{dice.choice(UNSUPPORTED)}", "tea"))


def draw_steps(dice: Dice, *, calm: bool) -> tuple[Step, ...]:
    """`calm`: good files and users only."""
    steps = _Steps(dice)
    for dataset in DATASETS[: dice.choice((1, 1, 1, 2))]:
        start = dice.between(0, 30 * MINUTE)
        for number in range(dice.choice((1, 1, 2, 3))):
            steps.version(dataset, f"v{number + 1}", start, calm=calm)
            start += dice.choice((0.0, 2 * MINUTE, 40 * MINUTE, 100 * MINUTE))
        if dice.chance(0.7):
            every = dice.choice((2 * MINUTE, 7 * MINUTE, 25 * MINUTE))
            steps.add(dice.between(HOUR, 4 * HOUR), Calls(dataset, dice.between(0.5 * HOUR, 4 * HOUR), every))
    if not calm:
        for kind in OPERATIONS:
            if dice.chance(STORMS if kind is Kind.STORM_OF_LOOKS else 0.15):
                first = 0.0 if kind is Kind.SQUATTER else HOUR
                steps.add(dice.between(first, 5 * HOUR), Operate(kind, dice.below(1000)))
        for _ in range(dice.choice((0, 0, 0, 4))):
            steps.add(dice.between(0.5 * HOUR, 5 * HOUR), Strange(dice.below(1000)))
    if dice.chance(0.3):
        steps.add(dice.between(HOUR, 5 * HOUR), Look())
    for kind in () if calm else (Kind.ORPHANED, Kind.CHANGED_BY_HAND):
        if dice.chance(0.15):
            steps.add(dice.between(HOUR, 5 * HOUR), Operate(kind, dice.below(1000)))
    if dice.chance(0.5):
        every = dice.choice((2 * MINUTE, 7 * MINUTE, 40 * MINUTE))
        users = CallsThroughTheGateway(dice.choice(DATASETS), dice.between(0.5 * HOUR, 2 * HOUR), every)
        steps.add(dice.between(HOUR, 4 * HOUR), users)
    for kind in (Kind.PUT_TO_SLEEP, Kind.WOKEN) if not calm else ():
        if dice.chance(0.2):
            steps.add(dice.between(2 * HOUR, 5 * HOUR), Operate(kind, dice.below(1000)))
    return tuple(sorted(steps.found, key=lambda step: (step.at, step.id)))
