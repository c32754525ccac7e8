"""Chats with a booking desk, made up: restaurant tables, cinema seats, concert tickets and hotel rooms.

    python -m demo.dialogues --out DIR

The phrases and the catalogue are in phrases.txt; this file decides who says what when. One seed always gives the
same dialogues. Within a dialogue the desk repeats what the guest asked for, and a place has the same price, street
and opening hours in every dialogue, so that a model can learn both.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Literal

MAX_MESSAGES = 8
PHRASES = Path(__file__).with_name("phrases.txt")

Role = Literal["user", "assistant"]
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_A_BEFORE_VOWEL = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])")
_CATALOGUE_COLUMNS = ("name", "style", "street", "price", "extra", "late")


@dataclass(frozen=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True)
class Dialogue:
    """Starts with the guest; 2 to 8 messages in turns."""

    messages: tuple[Message, ...]

    @property
    def prompt(self) -> str:
        return self.messages[0].content

    @property
    def prompt_id(self) -> str:
        """SHA-256 of all messages in hexadecimal; unlike a hash of the prompt it tells apart equal openings."""
        spoken = "\n".join(f"{m.role}: {m.content}" for m in self.messages)
        return hashlib.sha256(spoken.encode()).hexdigest()

    def before_answer(self, rng: random.Random) -> Dialogue:
        """The beginning of the dialogue up to one of the guest's turns, not the first."""
        return Dialogue(self.messages[: rng.randrange(3, len(self.messages), 2)])

    def to_json(self) -> str:
        messages = [{"role": m.role, "content": m.content} for m in self.messages]
        return json.dumps({"prompt": self.prompt, "prompt_id": self.prompt_id, "messages": messages})


@dataclass(frozen=True)
class Topic:
    """`details` are what the desk must know before it can book, in the order in which a guest names them."""

    name: str
    noun: str
    details: tuple[str, ...]
    can_be_full: bool


TOPICS = (
    Topic("restaurant", "restaurant", ("people", "name", "day", "time"), can_be_full=True),
    Topic("cinema", "movie", ("name", "people", "day", "time"), can_be_full=True),
    Topic("concert", "act", ("name", "people", "day"), can_be_full=False),
    Topic("hotel", "hotel", ("people", "name", "nights", "day"), can_be_full=False),
)


@cache
def _sections() -> dict[str, tuple[str, ...]]:
    sections: dict[str, list[str]] = {}
    for line in PHRASES.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            current = sections.setdefault(line.removeprefix("== "), [])
        elif line and not line.startswith("#"):
            current.append(line)
    return {name: tuple(lines) for name, lines in sections.items()}


def _section(topic: Topic, key: str) -> tuple[str, ...]:
    sections = _sections()
    return sections.get(f"{topic.name}.{key}") or sections[key]


@cache
def _catalogue(topic: Topic) -> tuple[dict[str, str], ...]:
    rows = _sections()[f"catalogue.{topic.name}"]
    return tuple(dict(zip(_CATALOGUE_COLUMNS, row.split(" | "), strict=True)) for row in rows)


class _Conversation:
    """One dialogue while it is being made up."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.topic = rng.choice(TOPICS)
        self.messages: list[Message] = []
        self.slots = {"noun": self.topic.noun, "reference": f"{rng.choice('BHKR')}{rng.randrange(100, 1000)}"}
        self.numbers = rng.choice(("numbers.words", "numbers.digits"))
        self.visit(rng.choice(_catalogue(self.topic)))
        for detail in self.topic.details:
            if detail != "name":
                self.choose(detail)
        if self.topic.can_be_full:
            self.slots["other_time"] = self.another("times", self.slots["time"])

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def visit(self, place: dict[str, str]) -> None:
        self.slots.update(place)

    def choose(self, detail: str) -> None:
        """Give `detail` a value, another one if it has one already; the earlier one stays known as `old`."""
        source = {"day": "days", "time": "times"}.get(detail, self.numbers)
        before = self.slots.get(detail, "")
        self.slots["old"] = before.removeprefix("on ")
        self.slots[detail] = self.another(source, before)
        self.slots["date"] = self.slots.get("day", "").removeprefix("on ")

    def another(self, source: str, than: str) -> str:
        return self.rng.choice([value for value in _section(self.topic, source) if value != than])

    def phrase(self, key: str) -> str:
        text = self.rng.choice(_section(self.topic, key))
        while _CHOICE.search(text):
            text = _CHOICE.sub(lambda match: self.rng.choice(match[1].split("|")), text)
        return text.format(**self.slots)

    def guest(self, key: str, details: tuple[str, ...] = ()) -> None:
        self.slots["details"] = "".join(f" {self.phrase(f'detail.{detail}')}" for detail in details)
        text = _sentence(self.phrase(key))
        if not self.messages and self.chance(0.35):
            text = _after_greeting(self.phrase("greeting"), text)
        if text[-1].isalnum() and self.chance(0.7):
            text += "."
        if self.chance(0.1):
            text = text.lower().rstrip(".!")
        self.messages.append(Message("user", text))

    def desk(self, key: str) -> None:
        text = _sentence(self.phrase(key))
        self.messages.append(Message("assistant", text if not text[-1].isalnum() else text + "."))

    @property
    def room(self) -> int:
        return MAX_MESSAGES - len(self.messages)


def _sentence(text: str) -> str:
    text = _A_BEFORE_VOWEL.sub(r"\1n ", text.strip())
    return text[0].upper() + text[1:]


def _after_greeting(greeting: str, text: str) -> str:
    is_pronoun = text.startswith(("I ", "I'"))
    return f"{greeting} {text[0].lower() + text[1:] if greeting.endswith(',') and not is_pronoun else text}"


def _ask_about_place(talk: _Conversation) -> None:
    fact = talk.rng.choice(("price", "street", "extra", "late", "style"))
    talk.guest(f"question.{fact}")
    answer = f"answer.{fact}"
    is_yes_or_no = talk.slots.get(fact) in {"yes", "no"}
    talk.desk(f"{answer}.{talk.slots[fact]}" if is_yes_or_no else answer)


def _find_place(talk: _Conversation) -> None:
    """The guest knows what kind of place, not which one."""
    talk.guest("find")
    talk.desk("offer")
    if talk.chance(0.3):
        first = talk.slots["name"]
        talk.guest("want_other")
        talk.visit(talk.rng.choice([place for place in _catalogue(talk.topic) if place["name"] != first]))
        talk.desk("other_offer")


def _ask_for_missing(talk: _Conversation, known: frozenset[str]) -> None:
    missing = [detail for detail in talk.topic.details if detail not in known]
    while missing:
        pair = ".".join(missing[:2])
        both = pair in {"day.time", "people.day"} and talk.chance(0.5)
        key = pair if both else missing[0]
        missing = missing[2:] if both else missing[1:]
        talk.desk(f"ask.{key}")
        talk.guest(f"tell.{key}")


def _settle(talk: _Conversation) -> None:
    """From knowing everything to a booking, or to none."""
    if talk.topic.can_be_full and talk.room >= 3 and talk.chance(0.25):
        talk.desk("full")
        if talk.chance(0.3):
            talk.guest("refuse")
            talk.desk("refused")
            return
        talk.guest("take_other")
        talk.slots["time"] = talk.slots["other_time"]
    elif talk.room >= 3 and talk.chance(0.5):
        talk.desk("confirm")
        if talk.chance(0.3):
            detail = talk.rng.choice([d for d in talk.topic.details if d != "name"])
            talk.choose(detail)
            talk.guest(f"correct.{detail}")
        else:
            talk.guest("agree")
    talk.desk("booked")


def _some_details(talk: _Conversation, at_least: int) -> tuple[str, ...]:
    details = talk.topic.details
    chosen = talk.rng.sample(details, talk.rng.randint(at_least, len(details)))
    return tuple(detail for detail in details if detail in chosen)


def _converse(rng: random.Random) -> Dialogue:
    talk = _Conversation(rng)
    start = rng.choices(("question", "find", "open"), (2, 3, 6))[0]
    if start == "open":
        told = _some_details(talk, at_least=len(talk.topic.details) - 2)
        talk.guest("open", told)
        _ask_for_missing(talk, frozenset(told))
        _settle(talk)
    else:
        _ask_about_place(talk) if start == "question" else _find_place(talk)
        if start == "find" or talk.chance(0.5):
            talk.guest("accept.details", tuple(d for d in talk.topic.details if d != "name"))
            _settle(talk)
    if talk.room >= 4 and talk.chance(0.3):
        _ask_about_place(talk)
    if talk.room >= 2 and len(talk.messages) > 2 and talk.chance(0.6):
        talk.guest("thanks")
        talk.desk("goodbye")
    return Dialogue(tuple(talk.messages[:MAX_MESSAGES]))


def _distinct(seed: int) -> Iterator[Dialogue]:
    """Endless. No two dialogues share what leads up to the last answer, so none gives away another's answer."""
    rng = random.Random(seed)
    seen: set[tuple[Message, ...]] = set()
    while True:
        dialogue = _converse(rng)
        if dialogue.messages[:-1] not in seen:
            seen.add(dialogue.messages[:-1])
            yield dialogue


def generate(count: int, seed: int) -> Iterator[Dialogue]:
    """`count` different dialogues, each ending with the desk's answer."""
    return islice(_distinct(seed), count)


def write_dataset(folder: Path, *, train: int = 1600, test: int = 160, gen: int = 100, seed: int = 7) -> None:
    """Write train_sft, test_sft and test_gen as JSON Lines. No dialogue is in two of them.

    The dialogues of test_gen end with the guest, as ultrachat_200k's do: the answer is for the model to give.
    """
    stream = _distinct(seed)
    rng = random.Random(seed)
    unanswered = (dialogue.before_answer(rng) for dialogue in stream if len(dialogue.messages) > 2)
    splits = {
        "train_sft": list(islice(stream, train)),
        "test_sft": list(islice(stream, test)),
        "test_gen": list(islice(unanswered, gen)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for split, dialogues in splits.items():
        lines = "".join(dialogue.to_json() + "\n" for dialogue in dialogues)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo.dialogues", description="Write the demo's chat dataset.")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--train", type=int, default=1600)
    parser.add_argument("--test", type=int, default=160)
    parser.add_argument("--gen", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    write_dataset(
        arguments.out,
        train=arguments.train,
        test=arguments.test,
        gen=arguments.gen,
        seed=arguments.seed,
    )
    print(f"wrote {arguments.train} + {arguments.test} + {arguments.gen} dialogues to {arguments.out}")


if __name__ == "__main__":
    main()
