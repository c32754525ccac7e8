"""How the values of metrics come from requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localcloud.azureml.usage import Sample, Usage
from localcloud.monitor.metrics import NAMESPACES
from localcloud.monitor.points import Gaps, series
from localcloud.monitor.query import Query
from localcloud.store import Store

if TYPE_CHECKING:
    from pathlib import Path

METRICS = {metric.name: metric for metric in next(iter(NAMESPACES.values()))}
REQUESTS = METRICS["RequestsPerMinute"]
ALL_KNOWN = Gaps(1 << 62, frozenset(), where_empty=False)


def query(end: int, grain: str = "PT1M") -> Query:
    return Query("n", (REQUESTS,), 0, end, "", "", grain, {}, frozenset(), 10, None)


def averages(name: str, samples: list[Sample], asked: Query, gaps: Gaps = ALL_KNOWN) -> list[float | None]:
    [found] = series(METRICS[name], samples, asked, gaps)
    return [point.get("average") for point in found["data"]]


def sample(minute: int, count: int, **latencies: int) -> Sample:
    counts = {float(name.removeprefix("ms")): number for name, number in latencies.items()}
    return Sample(*(minute, "blue", "200", "200", count), sum(ms * number for ms, number in counts.items()), counts)


def test_a_grain_is_the_average_of_its_minutes_whether_there_were_requests_or_not() -> None:
    samples = [sample(0, 4), sample(3, 2), sample(3, 1), sample(7, 5)]

    assert averages("RequestsPerMinute", samples, query(10)) == [4, 0, 0, 3, 0, 0, 0, 5, 0, 0]
    assert averages("RequestsPerMinute", samples, query(10, "PT5M")) == [7 / 5, 1]
    assert averages("RequestsPerMinute", samples, query(10, "FULL")) == [1.2]


def test_what_is_missing_makes_no_average_wrong() -> None:
    samples = [sample(0, 4), sample(3, 2)]
    gaps = Gaps(4, frozenset({1}), where_empty=False)

    assert averages("RequestsPerMinute", samples, query(6), gaps) == [4, None, 0, 2, None, None]
    assert averages("RequestsPerMinute", samples, query(6, "PT5M"), gaps) == [None, None]


def test_minutes_without_requests_can_be_absent() -> None:
    gaps = Gaps(1 << 62, frozenset(), where_empty=True)

    assert averages("RequestsPerMinute", [sample(1, 2)], query(3), gaps) == [None, 2, None]
    assert averages("RequestsPerMinute", [sample(1, 2)], query(3, "FULL"), gaps) == [2]


def test_latency_has_a_value_only_where_there_were_requests() -> None:
    samples = [sample(1, 4, ms10=3, ms50=1)]

    assert averages("RequestLatency", samples, query(3)) == [None, 20, None]
    assert averages("RequestLatency_P50", samples, query(3)) == [None, 10, None]
    assert averages("RequestLatency_P90", samples, query(3)) == [None, 50, None]
    assert averages("RequestLatency_P50", samples, query(3, "FULL")) == [10]


@settings(deadline=None, max_examples=30)  # each opens a database
@given(taken=st.lists(st.floats(0.05, 60_000), min_size=1, max_size=60), percent=st.sampled_from([50, 90, 95, 99]))
def test_a_percentile_is_right_within_its_resolution(
    taken: list[float], percent: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("usage") / "usage.db")
    usage = Usage(store, wall=lambda: 30.0)
    for milliseconds in taken:
        usage.record("e", "blue", 200, 200, milliseconds)
    samples = usage.samples("e", 0, 1)
    store.close()

    [value] = averages(f"RequestLatency_P{percent}", samples, query(1))

    rank = -(-len(taken) * percent // 100)
    assert value == pytest.approx(sorted(taken)[rank - 1], rel=0.02)
    assert averages("RequestLatency", samples, query(1)) == [pytest.approx(sum(taken) / len(taken))]


def test_requests_that_an_earlier_version_counted_have_no_latency(tmp_path: Path) -> None:
    store = Store(tmp_path / "usage.db")
    usage = Usage(store, wall=time.time)
    store.put("requests", "e/000000000001/blue/200/200", {"count": 3})
    samples = usage.samples("e", 0, 3)
    store.close()

    assert averages("RequestsPerMinute", samples, query(3)) == [0, 3, 0]
    assert averages("RequestLatency", samples, query(3)) == [None] * 3
