"""What looks tell the books: twice, late, out of order, from several processes; and what nobody saw."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared import names
from shared.azureml.resources import DeploymentRequest, Job, OnlineDeployment, OnlineEndpoint
from shared.config import Settings
from shared.costs.books import Books
from shared.costs.prices import Prices
from shared.costs.records import CostRecord, Kind, Price
from shared.costs.sightings import Sighting, plausible_end
from shared.errors import TransientError
from shared.lifecycle.tuning import Reason, State
from tests.simulation.twins.calm import Calm
from tests.simulation.twins.cloud import Clients, TwinCloud
from tests.unit.test_configuration import REQUIRED
from tests.unit.test_decide import tuning as some_tuning

TUNING = replace(some_tuning(State.CLEANING_UP), dataset="chats", endpoint="chats-1", deployment="blue")
MODEL = "azureml:m:1"


class Day:
    """A calm cloud with an endpoint of ours, and the books of one process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = Calm()
        self.settings = Settings.from_environment({**REQUIRED, "PRICES": '{"Standard_F2s_v2": 2}'})
        self.owner = names.owner(self.settings.workspace_id)
        self.cloud = TwinCloud(self.world, self.settings.workspace_id)
        self.clients = Clients(self.cloud, self.world)
        self.arm, self.ledger = self.clients.arm, self.clients.ledger
        monkeypatch.setattr(self.cloud.models, "exists", lambda model_id: True)
        self.books = self.another()
        self.arm.create_endpoint("chats-1", description="", tags=self.tags)
        self.world.advance(3600)

    @property
    def tags(self) -> dict[str, str]:
        return {names.TAG_OWNER: self.owner, names.TAG_DATASET: "chats", names.TAG_TUNING: TUNING.id}

    def another(self) -> Books:
        prices = Prices(self.settings, self.ledger, lambda: self.clients.retail, self.world.now)
        return Books(self.ledger, self.arm, prices, self.world.now, self.owner)

    def deploy(self, name: str = "blue", tags: dict[str, str] | None = None) -> datetime:
        request = DeploymentRequest("chats-1", name, MODEL, "Standard_F2s_v2", 2, 90, 600, tags or self.tags)
        self.arm.create_deployment(request)
        began = self.world.now()
        self.world.advance(3600)
        return began

    def look(self) -> Sighting:
        looked = self.world.now()
        found = self.arm.get_endpoint("chats-1")
        return Sighting("chats-1", found, tuple(self.arm.list_deployments("chats-1")) if found else (), looked)

    def tell(self, books: Books | None = None, sighting: Sighting | None = None) -> None:
        (books or self.books).endpoint_seen("chats", sighting or self.look(), TUNING)

    def records(self) -> list[CostRecord]:
        return [row.value for row in self.ledger.costs()]

    def the_record(self) -> CostRecord:
        (record,) = self.records()
        return record


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Day:
    return Day(monkeypatch)


def test_a_deployment_is_in_the_books_from_its_creation_to_the_end_of_its_deletion(day: Day) -> None:
    began = day.deploy()
    day.tell()
    assert (day.the_record().began, day.the_record().ended) == (began, None)
    assert (day.the_record().instance_count, day.the_record().price) == (2, Price(2.0, "USD"))
    day.books.deleting(TUNING, day.arm.delete_deployment("chats-1", "blue"), ["blue"])
    day.world.advance(3600)
    day.tell()
    (life,) = [life for life in day.cloud.endpoints.lifetimes if life.kind == "deployment"]
    assert (day.the_record().ended, day.the_record().exact) == (life.ended, True)
    assert life.ended is not None
    assert life.ended < day.world.now()


def test_the_end_of_an_endpoint_is_not_that_of_a_deployment_that_was_gone_before(day: Day) -> None:
    day.deploy("blue")
    day.tell()
    day.arm.delete_deployment("chats-1", "blue")
    day.world.advance(3600)
    day.books.deleting(TUNING, day.arm.delete_endpoint("chats-1"), [])
    day.world.advance(3600)
    day.tell()
    (record,) = day.records()
    assert record.ended is not None
    assert not record.exact


def test_an_endpoint_takes_its_deployments_with_it(day: Day) -> None:
    day.deploy("blue")
    day.deploy("green")
    day.tell()
    day.books.deleting(TUNING, day.arm.delete_endpoint("chats-1"), ["blue", "green"])
    day.world.advance(3600)
    day.tell()
    ended = {life.ended for life in day.cloud.endpoints.lifetimes}
    assert {record.ended for record in day.records()} == ended
    assert len(ended) == 1


def test_telling_twice_and_by_several_processes_is_telling_once(day: Day) -> None:
    day.deploy()
    for books in (day.books, day.books, day.another(), day.another()):
        day.tell(books)
    assert len(day.records()) == 1


def test_a_look_that_was_told_late_closes_nothing_that_began_after_it_and_opens_nothing_that_is_over(day: Day) -> None:
    before = day.look()
    day.deploy()
    during = day.look()
    day.tell()
    day.tell(day.another(), before)
    assert day.the_record().ended is None
    day.books.deleting(TUNING, day.arm.delete_deployment("chats-1", "blue"), ["blue"])
    day.world.advance(3600)
    day.tell()
    ended = day.the_record().ended
    day.tell(day.another(), during)
    assert day.the_record().ended == ended is not None


def test_of_what_vanished_unseen_the_end_lies_between_two_looks(day: Day) -> None:
    day.deploy()
    day.tell()
    errors: list[str] = []
    day.books.balance({}, errors)
    last = day.world.now()
    day.world.advance(600)
    day.cloud.endpoints.delete_deployment("chats-1", "blue")
    day.world.advance(3600)
    assert day.books.balance({}, errors) == 1
    record = day.the_record()
    (life,) = [life for life in day.cloud.endpoints.lifetimes if life.kind == "deployment"]
    assert life.ended is not None
    assert record.ended is not None
    assert (record.exact, record.seen) == (False, last)
    assert record.seen <= life.ended <= record.ended == day.world.now()
    assert errors == []


def test_a_deletion_by_hand_that_a_pass_sees_under_way_is_known_to_the_second(day: Day) -> None:
    day.deploy()
    day.cloud.endpoints.delete_deployment("chats-1", "blue")
    day.books.balance({}, [])
    day.world.advance(900)
    day.books.balance({}, [])
    (life,) = [life for life in day.cloud.endpoints.lifetimes if life.kind == "deployment"]
    assert (day.the_record().ended, day.the_record().exact) == (life.ended, True)


def test_the_same_name_again_is_another_one(day: Day) -> None:
    first = day.deploy()
    day.tell()
    day.cloud.endpoints.delete_deployment("chats-1", "blue")
    day.world.advance(3600)
    second = day.deploy()
    day.tell()
    assert {record.began: record.ended is None for record in day.records()} == {first: False, second: True}


def test_what_is_not_ours_is_not_in_the_books(day: Day) -> None:
    day.deploy("theirs", {"team": "x"})
    day.tell()
    day.books.balance({}, [])
    assert day.records() == []


@pytest.mark.parametrize(
    ("outcome", "code", "retired"),
    [
        (State.RETIRED, "Idle", True),
        (State.RETIRED, "EndpointVanished", False),
        (State.FAILED, "SmokeTestFailed", False),
        (State.SUPERSEDED, "Superseded", False),
    ],
)
def test_only_what_was_given_up_because_nobody_used_it_is_retired(
    day: Day, outcome: State, code: str, retired: bool
) -> None:
    day.deploy()
    day.tell()
    ending = replace(TUNING, outcome=outcome, reason=Reason(code, "why"))
    day.cloud.endpoints.delete_deployment("chats-1", "blue")
    day.world.advance(3600)
    day.books.endpoint_seen("chats", day.look(), ending)
    assert day.the_record().retired is retired


def test_an_end_that_can_not_be_read_is_not_made_up(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    day.deploy()
    day.tell()
    day.books.deleting(TUNING, day.arm.delete_deployment("chats-1", "blue"), ["blue"])
    day.world.advance(3600)

    def down(url: str) -> None:
        raise TransientError("read operation: HTTP 503")

    with monkeypatch.context() as context:
        context.setattr(day.arm, "operation_end", down)
        day.tell()
        assert day.the_record().ended is None
    day.tell()
    assert day.the_record().exact


def test_a_price_that_is_read_later_is_taken_if_it_was_in_effect_then(day: Day) -> None:
    day.settings = replace(day.settings, prices="")
    day.books = day.another()
    day.cloud.prices.hourly["Standard_F2s_v2"] = 3.0
    began = day.deploy()
    day.tell()
    assert day.the_record().price is None
    day.cloud.prices.since = began + timedelta(seconds=1)
    day.books.balance({}, [])
    assert day.the_record().price is None
    day.world.advance(2 * 24 * 3600)
    day.cloud.prices.since = began
    day.books.balance({}, [])
    assert day.the_record().price == Price(3.0, "USD")


def test_a_job_is_in_the_books_with_the_times_of_its_run(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    created = day.world.now()
    started, ended = created + timedelta(minutes=5), created + timedelta(hours=2)
    tuning = replace(TUNING, finetune_instance_type="Standard_F2s_v2", parameters={"num_nodes_finetune": "3"})
    day.books.job_seen(tuning, Job("j", "Queued", {}, created_at=created), created)
    assert (day.the_record().began, day.the_record().instance_count) == (created, 3)
    monkeypatch.setattr(day.arm, "run_times", lambda name: (started, ended))
    day.books.job_seen(tuning, Job("j", "Completed", {}, created_at=created), ended)
    day.another().job_seen(tuning, Job("j", "Completed", {}, created_at=created), ended)
    assert (day.the_record().began, day.the_record().ended, day.the_record().exact) == (started, ended, True)


def test_a_deployment_that_shows_its_creation_while_it_goes_with_its_endpoint_ends_when_that_does(day: Day) -> None:
    day.deploy()
    before = day.look()
    day.tell()
    day.arm.delete_endpoint("chats-1")
    day.tell(day.books, replace(day.look(), endpoint=before.endpoint))
    day.tell()
    day.world.advance(600)
    day.tell()
    ended = {life.ended for life in day.cloud.endpoints.lifetimes}
    assert {day.the_record().ended} == ended


def _deployment(*, seen_after: timedelta) -> CostRecord:
    began = datetime.fromisoformat("2026-11-22T10:00:00+00:00")
    return CostRecord(
        kind=Kind.DEPLOYMENT,
        dataset="chats",
        tuning="t",
        name="e/blue",
        instance_type="s",
        instance_count=1,
        began=began,
        seen=began + seen_after,
    )


def test_an_earlier_operation_of_a_deployment_is_not_its_deletion() -> None:
    record = _deployment(seen_after=timedelta(hours=5))
    began = record.began
    creation, deletion = began + timedelta(minutes=10), began + timedelta(hours=6)
    assert plausible_end(record, [creation, None]) is None
    assert plausible_end(record, [creation, deletion]) == deletion
    assert plausible_end(replace(record, seen=creation), [creation, deletion]) == deletion
    assert plausible_end(replace(record, seen=began), [began, deletion]) == deletion
    assert plausible_end(replace(record, seen=began), [began]) is None


def test_of_two_deletions_the_first_one_ended_it_by_a_clock_that_is_a_little_slow() -> None:
    record = _deployment(seen_after=timedelta(hours=1))
    first, second = record.seen + timedelta(minutes=1), record.seen + timedelta(minutes=9)
    assert plausible_end(record, [second, first]) == first
    assert plausible_end(replace(record, seen=first + timedelta(minutes=2)), [first, None]) == first


def test_the_operation_of_an_endpoint_tells_of_all_of_its_deployments() -> None:
    endpoint = OnlineEndpoint("", "e", "Deleting", "", {}, {}, "", "Key", "", None, None, "https://arm/endpoint")
    deployment = OnlineDeployment("blue", "e", "Deleting", "", "", 1, {}, None, "https://arm/creation")
    assert Sighting("e", endpoint, (deployment,), datetime.now().astimezone()).deletion_of(deployment) == (
        "https://arm/endpoint"
    )
