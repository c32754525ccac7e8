"""Bad datasets: no job, a report that is right to the line, the data left where it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.playground import Playground, wait_for, with_changes

pytestmark = pytest.mark.localcloud


def _line(number: int, change: Callable[[dict[str, object]], object]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        lines = content.splitlines()
        row = json.loads(lines[number - 1])
        lines[number - 1] = json.dumps(change(row)).encode()
        return b"\n".join(lines) + b"\n"

    return apply


def _raw(number: int, replacement: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def apply(content: bytes) -> bytes:
        lines = content.splitlines()
        lines[number - 1] = replacement(lines[number - 1])
        return b"\n".join(lines) + b"\n"

    return apply


def _messages(row: dict[str, object], messages: object) -> dict[str, object]:
    return {**row, "messages": messages}


TALK = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello, what can I do?"}]

DAMAGE: list[tuple[str, str, Callable[[bytes], bytes], int, str]] = [
    ("truncated-line", "train_sft", _raw(7, lambda line: line[:40]), 7, "truncated"),
    ("wrong-role-order", "train_sft", _line(3, lambda row: _messages(row, TALK[::-1])), 3, "starts_with_assistant"),
    ("repeated-role", "test_sft", _line(5, lambda row: _messages(row, [TALK[0], *TALK])), 5, "repeated_role"),
    (
        "unknown-role",
        "train_sft",
        _line(2, lambda r: _messages(r, [{**TALK[0], "role": "bot"}, TALK[1]])),
        2,
        "unknown",
    ),
    ("empty-content", "train_sft", _line(9, lambda r: _messages(r, [TALK[0], {**TALK[1], "content": ""}])), 9, "empty"),
    ("null-content", "test_sft", _line(1, lambda r: _messages(r, [TALK[0], {**TALK[1], "content": None}])), 1, "null"),
    ("no-messages", "train_sft", _line(4, lambda row: {"prompt": row["prompt"]}), 4, "missing_messages"),
    ("blank-line", "train_sft", _raw(6, lambda _: b""), 6, "blank_line"),
    ("bad-utf8", "test_sft", _raw(2, lambda line: line.replace(b"a", b"\xff", 1)), 2, "bad_utf8"),
    ("sharegpt", "train_sft", _line(8, lambda _: {"conversations": [{"from": "human", "value": "x"}]}), 8, "sharegpt"),
]


@pytest.mark.parametrize(("dataset", "split", "damage", "line", "kind"), DAMAGE, ids=[case[0] for case in DAMAGE])
def test_a_damaged_dataset_is_rejected_right_to_the_line(
    playground: Playground,
    small_dataset: Path,
    tmp_path: Path,
    dataset: str,
    split: str,
    damage: Callable[[bytes], bytes],
    line: int,
    kind: str,
) -> None:
    content = damage((small_dataset / f"{split}.jsonl").read_bytes())
    playground.upload(with_changes(small_dataset, tmp_path / "bad", {f"{split}.jsonl": content}), dataset)
    rejected = playground.until(dataset, "rejected", "preparing", "training", deadline=30)
    assert rejected["state"] == "rejected"
    first = rejected["report"]["errors"][0]
    assert (first["file"], first["line"]) == (f"{split}.jsonl", line)
    assert kind in first["kind"]
    assert f"line {line}" in rejected["reason"]["message"]
    assert playground.of_dataset("jobs", dataset) == []


def test_an_unknown_key_in_tuning_json_is_refused_by_name(
    playground: Playground, small_dataset: Path, tmp_path: Path
) -> None:
    folder = with_changes(small_dataset, tmp_path / "bad", {"tuning.json": b'{"base_modle": "x"}'})
    playground.upload(folder, "typo")
    rejected = playground.until("typo", "rejected", "training", deadline=30)
    assert rejected["state"] == "rejected"
    assert "base_modle" in rejected["reason"]["message"]


def test_an_unknown_parameter_is_refused_by_name(playground: Playground, small_dataset: Path, tmp_path: Path) -> None:
    settings = b'{"parameters": {"learning_rat": 0.1}}'
    playground.upload(with_changes(small_dataset, tmp_path / "bad", {"tuning.json": settings}), "typo-parameter")
    rejected = playground.until("typo-parameter", "rejected", "training", deadline=30)
    assert rejected["state"] == "rejected"
    assert "learning_rat" in rejected["reason"]["message"]


def test_a_version_without_a_required_split_is_rejected_after_its_time(
    playground: Playground, small_dataset: Path, tmp_path: Path
) -> None:
    playground.upload(with_changes(small_dataset, tmp_path / "half", {"test_sft.jsonl": None}), "half")
    rejected = playground.until("half", "rejected", deadline=40)
    assert rejected["reason"]["code"] == "MissingSplit"
    assert "test_sft.jsonl" in rejected["reason"]["message"]


@pytest.mark.parametrize(
    ("blob", "code"),
    [("loose.jsonl", "UnsupportedPath"), ("chats/v1/train.csv", "UnsupportedName"), ("Chats/v1/x", "UnsupportedPath")],
)
def test_a_blob_with_an_unsupported_name_is_rejected_with_a_report(
    playground: Playground, blob: str, code: str
) -> None:
    playground.upload_bytes(blob, blob.encode())

    def look() -> dict[str, object] | None:
        for item in playground.client.tunings()["tunings"]:
            if item["id"].startswith("unsupported-"):
                found = playground.client.tuning(item["id"])
                if found["report"]["problems"][0]["subject"] == blob:
                    return found
        return None

    rejected = wait_for(look, 30, playground.client.tunings)
    assert rejected["reason"]["code"] == code  # type: ignore[index]


def test_a_corrected_file_starts_anew(playground: Playground, small_dataset: Path, tmp_path: Path) -> None:
    folder = with_changes(small_dataset, tmp_path / "fixed", {"test_sft.jsonl": b'{"messages": []}\n'})
    playground.upload(folder, "fixed")
    playground.until("fixed", "rejected", deadline=30)
    playground.upload(small_dataset, "fixed")
    again = playground.until("fixed", "preparing", "training", "registered", "deploying", "live", nth=1, deadline=60)
    assert again["report"]["valid"] is True
