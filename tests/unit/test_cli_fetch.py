"""`python -m cli fetch`: splits of a hub dataset as files, and one clear line where that can not be."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.fetch import dataset_name

REAL = "Hugging Face datasets is not installed: python -m pip install -r requirements-bench.txt"
FAR = "https://127.0.0.1:9"
"""Nothing listens there."""


def row(number: int) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"é {number}"}, {"role": "assistant", "content": "yes"}]
    return {"prompt": f"é {number}", "prompt_id": f"{number:064x}", "messages": turns}


@dataclass
class Rows:
    """What `datasets` gives for a split: iterable, and to be cut."""

    rows: list[dict[str, Any]]
    breaks_off: bool = False

    def take(self, count: int) -> Iterator[dict[str, Any]]:
        yield from self.rows[:count]
        if self.breaks_off:
            raise ConnectionError("connection reset by peer")


@dataclass
class Builder:
    splits: dict[str, Rows]
    info: SimpleNamespace = field(init=False)

    def __post_init__(self) -> None:
        sizes = {name: SimpleNamespace(num_examples=len(split.rows)) for name, split in self.splits.items()}
        self.info = SimpleNamespace(splits=sizes)

    def as_streaming_dataset(self) -> dict[str, Rows]:
        return self.splits


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> dict[str, Rows]:
    """A stand-in for the library, whose splits a test may change. The real one is tested below."""
    splits = {
        "train_sft": Rows([row(number) for number in range(200)]),
        "test_sft": Rows([row(number) for number in range(200, 240)]),
        "train_gen": Rows([row(0)]),
    }
    stand_in = SimpleNamespace(load_dataset_builder=lambda name: Builder(splits))
    monkeypatch.setitem(sys.modules, "datasets", stand_in)
    return splits


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["fetch", *map(str, arguments)])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_percentage_of_each_split_that_droptune_takes_is_written(library: dict[str, Rows], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(tmp_path, "--percent", "5", "--out", out)
    assert result.exit_code == 0, result.output
    assert lines(out / "train_sft.jsonl") == [row(number) for number in range(10)]
    assert lines(out / "test_sft.jsonl") == [row(200), row(201)]
    assert sorted(file.name for file in out.iterdir()) == ["test_sft.jsonl", "train_sft.jsonl"]


def test_a_download_that_breaks_off_leaves_no_file(library: dict[str, Rows], tmp_path: Path) -> None:
    library["test_sft"].breaks_off = True
    out = tmp_path / "out"
    result = run(tmp_path, "--out", out)
    assert result.exit_code == 2
    assert "test_sft broke off" in result.stderr
    assert [file.name for file in out.iterdir()] == ["train_sft.jsonl"]


def test_rows_that_are_no_json_are_named(library: dict[str, Rows], tmp_path: Path) -> None:
    library["train_sft"].rows[1]["prompt"] = object()
    result = run(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "row 2 of train_sft" in result.stderr


def test_a_dataset_without_the_splits_says_which_it_has(library: dict[str, Rows], tmp_path: Path) -> None:
    del library["train_sft"]
    result = run(tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "test_sft, train_gen" in result.stderr
    assert "train_sft" in result.stderr


def test_without_the_library_the_command_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    result = run("HuggingFaceH4/ultrachat_200k", "--out", tmp_path)
    assert result.exit_code == 2
    assert "pip install datasets" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_hub_that_can_not_be_reached_is_said_in_one_line(
    library: dict[str, Rows], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", FAR)
    monkeypatch.setattr(logging.getLogger("huggingface_hub"), "level", logging.WARNING)
    result = run("HuggingFaceH4/ultrachat_200k", "--out", tmp_path)
    assert result.exit_code == 2
    assert "hub can not be reached" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_name_that_is_none_is_refused(library: dict[str, Rows], tmp_path: Path) -> None:
    result = run("/not/a/folder", "--out", tmp_path)
    assert result.exit_code == 2
    assert "neither a folder nor owner/dataset" in result.stderr


def test_uploading_needs_to_be_told_where(
    library: dict[str, Rows], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("STORAGE__blobServiceUri", raising=False)
    result = run(tmp_path, "--out", tmp_path / "out", "--upload")
    assert result.exit_code == 2
    assert "STORAGE__blobServiceUri" in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_invalid_is_not_uploaded(library: dict[str, Rows], tmp_path: Path) -> None:
    library["train_sft"].rows[3]["messages"] = []
    result = run(tmp_path, "--out", tmp_path / "out", "--upload", "--storage", FAR)
    assert result.exit_code == 1, result.output
    assert "train_sft.jsonl:4" in result.stdout


@pytest.mark.parametrize(
    ("name", "expected"),
    [("HuggingFaceH4/ultrachat_200k", "ultrachat-200k"), ("./My Chats/", "my-chats"), ("///", "chats")],
)
def test_a_hub_name_becomes_a_dataset_name(name: str, expected: str) -> None:
    assert dataset_name(name) == expected


@pytest.mark.parametrize("sizes_known", [True, False], ids=["streamed", "fetched-whole"])
def test_the_real_library_reads_a_folder_that_is_laid_out_as_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes_known: bool
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason=REAL)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    hub = tmp_path / "made-up"
    (hub / "data").mkdir(parents=True)
    counts = {"train_sft": 200, "test_sft": 40}
    for split, count in counts.items():
        rows = [row(number) for number in range(count)]
        datasets.Dataset.from_list(rows).to_parquet(str(hub / "data" / f"{split}-00000-of-00001.parquet"))
    if sizes_known:
        sizes = "".join(f"  - name: {split}\n    num_examples: {count}\n" for split, count in counts.items())
        (hub / "README.md").write_text(f"---\ndataset_info:\n  splits:\n{sizes}---\n")
    out = tmp_path / "out"
    result = run(hub, "--percent", "5", "--out", out)
    assert result.exit_code == 0, result.output
    assert lines(out / "train_sft.jsonl") == [row(number) for number in range(10)]
    assert lines(out / "test_sft.jsonl") == [row(0), row(1)]
    assert any((tmp_path / "cache").rglob("*.arrow")) is not sizes_known, "streaming stores nothing"
