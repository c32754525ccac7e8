"""Datasets that are dropped at once: more of them than jobs may run. `make crowd` does it with 200."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.crowd.crowd import Crowd, crowd

pytestmark = [pytest.mark.localcloud, pytest.mark.xdist_group("crowd")]

DATASETS = 6
LIMIT = 2


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    folder: Path = tmp_path_factory.mktemp("crowd")
    return crowd(folder, DATASETS, LIMIT, deadline=300)


def test_all_end_live_with_one_of_everything(result: Crowd) -> None:
    assert result.states == {"live": DATASETS}
    assert result.doubled == ()


def test_no_more_jobs_run_than_allowed_and_the_line_is_visible(result: Crowd) -> None:
    assert result.most_jobs <= LIMIT
    assert 0 < result.most_waiting <= DATASETS - LIMIT
    assert "job slot" in result.said


def test_jobs_start_in_order_of_arrival(result: Crowd) -> None:
    """Those with a free slot each may start in any order among themselves."""
    assert result.out_of_order < LIMIT


def test_calls_and_memory_are_counted(result: Crowd) -> None:
    assert result.memory.keys() == {"azure", "azurite", "functions"}
    assert all(peak > 10 for peak in result.memory.values())
    assert result.calls["Azure ML and Event Grid: PUT"] >= 4 * DATASETS
    assert result.calls["storage, tables: PUT"] > DATASETS
