"""`python -m cli validate`: the app's checks on a laptop, for people and for programs."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.checked import check
from cli.thresholds import thresholds
from shared.errors import ConfigurationError

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def row(number: int) -> bytes:
    messages = [{"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": "yes"}]
    return json.dumps({"messages": messages}).encode() + b"\n"


TRAIN = b"".join(map(row, range(20)))
TEST = b"".join(map(row, range(100, 105)))


@pytest.fixture
def version(tmp_path: Path) -> Path:
    (tmp_path / "train_sft.jsonl").write_bytes(TRAIN)
    (tmp_path / "test_sft.jsonl.gz").write_bytes(gzip.compress(TEST))
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["validate", *map(str, arguments)])


def test_a_complete_version_is_valid(version: Path) -> None:
    result = run(version)
    assert result.exit_code == 0, result.output
    assert "train_sft" in result.stdout
    assert "test_sft" in result.stdout
    assert result.stdout.rstrip().splitlines()[-1].startswith("valid:")


def test_each_error_in_json_has_its_line_kind_and_reason(version: Path) -> None:
    (version / "train_sft.jsonl").write_bytes(TRAIN + b'{"messages": []}\n' + b"garbage\n")
    result = run(version, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["valid"] is False
    assert [(error["file"], error["line"], error["kind"]) for error in report["errors"]] == [
        ("train_sft.jsonl", 21, "empty_messages"),
        ("train_sft.jsonl", 22, "not_json"),
    ]
    assert all(error["reason"] for error in report["errors"])
    assert report["splits"]["train_sft"]["rows"] == 22


def test_people_read_where_what_is_wrong(version: Path) -> None:
    (version / "train_sft.jsonl").write_bytes(TRAIN + b"garbage\n")
    result = run(version)
    assert result.exit_code == 1
    assert "train_sft.jsonl:21" in result.stdout
    assert "not_json" in result.stdout


def test_leaks_between_splits_are_found(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_LEAK_PERCENT", "20")
    (version / "test_sft.jsonl.gz").write_bytes(gzip.compress(TEST + row(7) + row(8)))
    result = run(version, "--json")
    report = json.loads(result.stdout)
    assert [problem["kind"] for problem in report["problems"]] == ["LeakedTestData"]
    assert report["warnings"][0]["other"] == {"file": "train_sft.jsonl", "line": 8}
    assert result.exit_code == 1


def test_a_version_without_a_required_split_is_invalid(version: Path) -> None:
    (version / "test_sft.jsonl.gz").unlink()
    result = run(version)
    assert result.exit_code == 1
    assert "MissingSplit" in result.stdout


def test_tuning_json_is_checked_and_its_sequence_length_counts(version: Path) -> None:
    (version / "tuning.json").write_text(json.dumps({"parameters": {"max_seq_length": 3}}))
    report = json.loads(run(version, "--json").stdout)
    assert report["max_seq_length"] == 3
    assert report["splits"]["train_sft"]["warning_counts"] == {"long_row": 20}
    (version / "tuning.json").write_text('{"base_modle": "x"}')
    report = json.loads(run(version, "--json").stdout)
    assert "base_modle" in report["problems"][0]["reason"]


def test_a_single_file_is_valid_by_itself(version: Path) -> None:
    result = run(version / "train_sft.jsonl", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["valid"] is True
    assert run(version / "test_sft.jsonl.gz").exit_code == 0


def test_a_file_with_another_name_follows_the_rules_that_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(json.dumps({"messages": [{"role": "user", "content": "only a prompt"}]}).encode() + b"\n")
    assert run(file).exit_code == 1
    assert run(file, "--split", "test_gen").exit_code == 0


@pytest.mark.parametrize("what", ["missing.jsonl", "empty", "tuning.json"])
def test_what_can_not_be_checked_is_unusable_and_said_in_one_line(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "tuning.json").write_text("{}")
    result = run(tmp_path / what)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert what in result.stderr


def test_a_malformed_setting_is_named(version: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_SEQ_LENGTH", "long")
    result = run(version)
    assert result.exit_code == 2
    assert "MAX_SEQ_LENGTH" in result.stderr


def test_thresholds_are_those_of_the_settings(version: Path) -> None:
    limits = thresholds({"MAX_SEQ_LENGTH": "2", "MAX_LONG_PERCENT": "100"})
    checked = check(version, limits, NOW)
    assert checked.valid
    assert checked.report.splits[0].warning_counts == {"long_row": 20}
    with pytest.raises(ConfigurationError, match="MAX_LONG_PERCENT"):
        thresholds({"MAX_LONG_PERCENT": "many"})


def test_progress_counts_every_byte(version: Path) -> None:
    seen: list[int] = []
    check(version, thresholds({}), NOW, watch=seen.append)
    assert sum(seen) == sum(file.stat().st_size for file in version.iterdir())


def test_the_program_ends_with_the_outcome_and_needs_no_azure_settings(version: Path) -> None:
    (version / "train_sft.jsonl").write_bytes(b"garbage\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli", "validate", str(version), "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["errors"][0]["kind"] == "not_json"
