"""The demo's dataset generator."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.dialogues import MAX_MESSAGES, Dialogue, generate, write_dataset

Row = dict[str, Any]


@pytest.fixture(scope="module")
def dialogues() -> list[Dialogue]:
    return list(generate(2000, seed=3))


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder)
    return {
        split: [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        for split in ("train_sft", "test_sft", "test_gen")
    }


def test_the_same_seed_gives_the_same_dialogues() -> None:
    assert list(generate(50, seed=11)) == list(generate(50, seed=11))


def test_another_seed_gives_other_dialogues() -> None:
    assert not set(generate(50, seed=11)) & set(generate(50, seed=12))


def test_fewer_dialogues_are_the_beginning_of_more() -> None:
    assert list(generate(20, seed=11)) == list(generate(50, seed=11))[:20]


def test_guest_and_desk_take_turns_and_the_desk_has_the_last_word(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        roles = [message.role for message in dialogue.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert 2 <= len(roles) <= MAX_MESSAGES


def test_no_phrase_is_left_unfilled_or_misspelt_by_its_filling(dialogues: list[Dialogue]) -> None:
    for dialogue in dialogues:
        for message in dialogue.messages:
            assert message.content == message.content.strip() != ""
            assert not re.search(r"[\[\]{}|]|  | [,.?!]|\bthe [Tt]he\b|\b[Aa] [aeio]", message.content), message


def test_there_is_variety(dialogues: list[Dialogue]) -> None:
    openings = {dialogue.prompt for dialogue in dialogues}
    answers = {message.content for d in dialogues for message in d.messages if message.role == "assistant"}
    assert len(openings) > 1500
    assert len(answers) > 3000


def test_no_dialogue_gives_away_the_last_answer_of_another(dialogues: list[Dialogue]) -> None:
    contexts = [dialogue.messages[:-1] for dialogue in dialogues]
    assert len(set(contexts)) == len(contexts)


def test_a_booking_repeats_the_number_that_the_guest_named_last(dialogues: list[Dialogue]) -> None:
    number = re.compile(r"\b(two|three|four|five|six|eight|[2-68])\b(?! ?:| ?pm| nights)")
    checked = 0
    for dialogue in dialogues:
        booked = next(
            (m.content for m in dialogue.messages if "tickets for" in m.content and "booked" in m.content), ""
        )
        found = re.search(r"\b(\w+) tickets for", booked)
        if not found or found[1] not in {"two", "three", "four", "five", "six", "eight", *"234568"}:
            continue
        guest = " ".join(m.content.lower() for m in dialogue.messages if m.role == "user")
        assert found[1] in number.findall(guest), dialogue
        checked += 1
    assert checked > 50


def test_a_place_costs_the_same_in_every_dialogue(dialogues: list[Dialogue]) -> None:
    prices: dict[str, set[str]] = {}
    for dialogue in dialogues:
        for message in dialogue.messages:
            if found := re.search(r"Tickets for (.+) are (\$\d+) each", message.content):
                prices.setdefault(found[1], set()).add(found[2])
    assert len(prices) > 10
    assert all(len(of_one) == 1 for of_one in prices.values())


def test_the_splits_have_the_promised_sizes(splits: dict[str, list[Row]]) -> None:
    assert {split: len(rows) for split, rows in splits.items()} == {
        "train_sft": 1600,
        "test_sft": 160,
        "test_gen": 100,
    }


def test_no_dialogue_is_in_two_splits_or_twice_in_one(splits: dict[str, list[Row]]) -> None:
    spoken = [json.dumps(row["messages"]) for rows in splits.values() for row in rows]
    assert len(set(spoken)) == len(spoken)


def test_no_smoke_test_sample_begins_a_training_dialogue(splits: dict[str, list[Row]]) -> None:
    beginnings = {
        json.dumps(row["messages"][:length]) for row in splits["train_sft"] for length in range(3, MAX_MESSAGES)
    }
    assert not beginnings & {json.dumps(row["messages"]) for row in splits["test_gen"]}


def test_a_row_has_its_prompt_and_an_identity_of_its_own(splits: dict[str, list[Row]]) -> None:
    rows = [row for rows in splits.values() for row in rows]
    assert all(set(row) == {"prompt", "prompt_id", "messages"} for row in rows)
    assert all(row["prompt"] == row["messages"][0]["content"] for row in rows)
    assert all(re.fullmatch("[0-9a-f]{64}", row["prompt_id"]) for row in rows)
    assert len({row["prompt_id"] for row in rows}) == len(rows)


def test_smoke_test_samples_wait_for_an_answer(splits: dict[str, list[Row]]) -> None:
    assert all(row["messages"][-1]["role"] == "user" for row in splits["test_gen"])
    assert all(len(row["messages"]) >= 3 for row in splits["test_gen"])


def test_the_command_writes_what_the_function_writes(tmp_path: Path) -> None:
    command, function = tmp_path / "command", tmp_path / "function"
    arguments = ["--train", "30", "--test", "10", "--gen", "5", "--seed", "4"]
    subprocess.run(
        [sys.executable, "-m", "demo.dialogues", "--out", str(command), *arguments], check=True, capture_output=True
    )
    write_dataset(function, train=30, test=10, gen=5, seed=4)

    def digest(folder: Path) -> dict[str, str]:
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}

    assert digest(command) == digest(function)
