"""A main job whose app is killed at each of its side effects, one after the other: found by running it once."""

from __future__ import annotations

import pytest

from shared.lifecycle.tuning import State
from tests.simulation.faults import Fault, Kind
from tests.simulation.plan import draw_plan
from tests.simulation.schedule import Result, Selection, run
from tests.simulation.workload import Upload

SEED = 200
"""A calm schedule; only the uploads of one version are done."""


def steps() -> frozenset[str]:
    wanted = draw_plan(SEED).steps
    return frozenset(step.id for step in wanted if isinstance(step.deed, Upload) and "/v1/" in step.deed.blob)


def end_of(result: Result) -> tuple[object, ...]:
    return result.violation, result.ends, result.reasons


@pytest.mark.parametrize("kind", [Kind.CRASH_BEFORE, Kind.CRASH_AFTER])
def test_a_crash_after_any_side_effect_and_before_any_record_of_a_main_job_leads_to_the_same_end(kind: Kind) -> None:
    plain = run(SEED, Selection(frozenset(), steps()))
    assert plain.ends == {State.RETIRED: 1}
    places = plain.writes if kind is Kind.CRASH_AFTER else [w for w in plain.writes if w.endswith(" ledger.put")]
    crashes = [Fault(kind, where) for where in places]
    for crash in crashes:
        crashed = run(SEED, Selection(frozenset({crash}), steps()))
        assert crashed.faults == (crash,), "the crash is where the schedule was the same up to then"
        assert end_of(crashed) == end_of(plain), crash
    print(f"{len(crashes)} side effects, {len(crashes)} crashes, {len(crashes)} times the same end")
