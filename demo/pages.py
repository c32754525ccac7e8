"""The dashboard's pages of a made-up week: the real pages, of values that no cloud was asked for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from demo import specimens
from shared.azureml.resources import MetricPoint
from shared.costs.records import CostRecord, Kind, Price
from shared.costs.report import CostReport
from shared.dashboard.board import board_page
from shared.dashboard.endpoints_page import endpoints_page
from shared.dashboard.frame import Chrome
from shared.dashboard.money_page import money_page
from shared.dashboard.tuning_page import tuning_page
from shared.dashboard.views import (
    Asleep,
    Board,
    Collecting,
    Endpoints,
    EndpointView,
    SmokeSample,
    SmokeTest,
    SplitFigures,
    TuningView,
    Validation,
)
from shared.idle.series import MINUTE, Series, floor_minute
from shared.lifecycle.tuning import UNFINISHED, State, Tuning

_SIZE = "Standard_NC24ads_A100_v4"
_PRICE = Price(3.673, "USD")
_DEADLINES = {
    State.QUEUED: timedelta(hours=168),
    State.TRAINING: timedelta(hours=72),
    State.DEPLOYING: timedelta(minutes=150),
    State.TESTING: timedelta(minutes=120),
}


def pages(now: datetime) -> dict[str, bytes]:
    """By the path below the dashboard's own."""
    week = specimens.tunings(now)
    chrome = Chrome("ml-production", now, "")
    live, failed = week[0], next(tuning for tuning in week if tuning.state is State.FAILED)
    return {
        "": board_page(_board(week, now), chrome),
        "/tunings/live": tuning_page(_live(live, now), chrome),
        "/tunings/failed": tuning_page(TuningView(tuning=failed), chrome),
        "/endpoints": endpoints_page(_endpoints(week, now), chrome),
        "/money": money_page(CostReport(tuple(_records(week, now)), now, "USD"), None, chrome),
    }


def _board(week: Sequence[Tuning], now: datetime) -> Board:
    versions = [Collecting(item, ("test_sft.jsonl",), now + timedelta(minutes=55)) for item in specimens.versions(now)]
    return Board(
        counts=Counter(tuning.state for tuning in week),
        collecting=tuple(versions),
        collecting_in_all=len(versions),
        slots=specimens.slots(week),
        max_active_jobs=specimens.MAX_ACTIVE_JOBS,
        under_way=tuple(tuning for tuning in week if tuning.state in UNFINISHED),
        live=tuple(tuning for tuning in week if tuning.state is State.LIVE),
        listed=tuple(tuning for tuning in week if tuning.ended),
        deadlines=_DEADLINES,
    )


def _live(tuning: Tuning, now: datetime) -> TuningView:
    splits = (
        SplitFigures("train_sft", 1600, 412_338, 231, 512, 911, 0, 3),
        SplitFigures("test_sft", 160, 40_871, 228, 498, 702, 0, 0),
    )
    sample = SmokeSample(
        before=(("user", "Good evening."), ("assistant", "Good evening. What may I book for you?")),
        question="Is there a table for two at eight, by the window?",
        answer="Yes, the Lantern has one at eight. Shall I book it in your name?",
        truth="The Lantern has a window table at eight. Shall I book it?",
    )
    return TuningView(
        tuning=tuning,
        validation=Validation(True, (), splits),
        smoke=SmokeTest(True, "5 of 5 samples passed", tuning.state_since, (sample,)),
        curves=_curves(tuning.created_at),
        costs=tuple(_of(tuning, now)),
    )


def _curves(begun: datetime) -> dict[str, tuple[MetricPoint, ...]]:
    steps = range(10, 1210, 10)
    loss = [0.62 + 1.9 * math.exp(-step / 260) + 0.05 * math.sin(step * 1.7) for step in steps]
    evaluated = [(step, 0.7 + 1.7 * math.exp(-step / 300)) for step in (400, 800, 1200)]
    return {
        "loss": tuple(MetricPoint(step, value, begun) for step, value in zip(steps, loss, strict=True)),
        "eval_loss": tuple(MetricPoint(step, value, begun) for step, value in evaluated),
    }


def _of(tuning: Tuning, now: datetime) -> list[CostRecord]:
    began = tuning.created_at + timedelta(minutes=2)
    return [
        _record(tuning, Kind.JOB, began, began + timedelta(minutes=92)),
        _record(tuning, Kind.DEPLOYMENT, began + timedelta(minutes=95), None, seen=now),
    ]


def _records(week: Sequence[Tuning], now: datetime) -> list[CostRecord]:
    found = [record for tuning in week if tuning.state is State.LIVE for record in _of(tuning, now)]
    for month in range(1, 6):
        for number, tuning in enumerate(week[2:9]):
            began = now - timedelta(days=30 * month - number)
            found.append(_record(tuning, Kind.JOB, began, began + timedelta(hours=1.6)))
            ended = began + timedelta(hours=60 + 17 * number - 8 * month)
            found.append(_record(tuning, Kind.DEPLOYMENT, began, ended, retired=True))
    return found


def _record(
    tuning: Tuning,
    kind: Kind,
    began: datetime,
    ended: datetime | None,
    *,
    seen: datetime | None = None,
    retired: bool = False,
) -> CostRecord:
    return CostRecord(
        kind=kind,
        dataset=tuning.dataset,
        tuning=tuning.id,
        name=tuning.id if kind is Kind.JOB else f"{tuning.endpoint or tuning.dataset}/t",
        instance_type=_SIZE,
        instance_count=1,
        began=began,
        seen=seen or ended or began,
        ended=ended,
        retired=retired,
        price=_PRICE,
    )


def _endpoints(week: Sequence[Tuning], now: datetime) -> Endpoints:
    busy, quiet = (tuning for tuning in week if tuning.state is State.LIVE)
    coming = next(tuning for tuning in week if tuning.state is State.DEPLOYING)
    end = floor_minute(now)
    start = end - timedelta(hours=1)
    wave = {minute: 7 * math.sin(minute / 9) + 3 * math.sin(minute) for minute in range(60)}
    requests = {start + minute * MINUTE: float(round(value)) for minute, value in wave.items() if value >= 1}
    idle_since = now - timedelta(hours=25.2)
    return Endpoints(
        endpoints=(
            EndpointView(
                name=busy.endpoint,
                dataset=busy.dataset,
                state="Succeeded",
                live=busy.id,
                hourly=_PRICE.hourly,
                currency=_PRICE.currency,
                requests=Series(start, end, requests),
                reason=f"used at {end:%H:%M} UTC; that is less than 24 h",
            ),
            EndpointView(
                name=quiet.endpoint,
                dataset=quiet.dataset,
                state="Succeeded",
                live=quiet.id,
                hourly=_PRICE.hourly,
                since_last_request=_PRICE.hourly * 25.2,
                currency=_PRICE.currency,
                requests=Series(start, end, {}),
                idle_since=idle_since,
                deletes_at=now + timedelta(minutes=48),
                reason=f"no request since {idle_since:%Y-%m-%d %H:%M} UTC, which is more than 24 h",
            ),
            EndpointView(
                name=coming.endpoint,
                dataset=coming.dataset,
                state="Updating",
                hourly=_PRICE.hourly,
                currency=_PRICE.currency,
                no_requests="the time asked for holds no whole minute",
                reason=f"tuning {coming.id} is unfinished",
            ),
        ),
        in_all=3,
        asleep=(Asleep("menu-writer", next(tuning.id for tuning in week if tuning.state is State.RETIRED)),),
        asleep_in_all=1,
        swept_at=now - timedelta(minutes=6),
    )
