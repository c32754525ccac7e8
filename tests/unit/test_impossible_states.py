"""The checker finds what must not be: each state is built by hand, because the emulator does not get into it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.azureml.consistency import Facts, impossible_states
from localcloud.azureml.endpoints import Deployment, Endpoint
from localcloud.azureml.jobs import Job, Step
from localcloud.azureml.models import ModelVersion
from localcloud.azureml.operations import Operation


def operation(identifier: str, target: str, **changes: Any) -> Operation:
    return replace(Operation(identifier, target, started=1.0, duration=1.0, ended=2.0), **changes)


def endpoint(name: str, **changes: Any) -> Endpoint:
    made = Endpoint(name, {"traffic": {}}, {}, {}, "Creating", f"op-{name}", 1.0, 1.0, "", "")
    return replace(made, **changes)


def deployment(of: str, name: str, folder: Path, **changes: Any) -> Deployment:
    made = Deployment(of, name, {}, {}, {"capacity": 1}, "Creating", f"op-{of}-{name}", 1.0, 1.0)
    return replace(made, **{"serving": 1, "serving_model": str(folder), **changes})


@dataclass
class World:
    """One endpoint with one deployment that serves a model of a completed job: nothing is wrong with it."""

    folder: Path
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    deleted_endpoints: dict[str, Endpoint] = field(default_factory=dict)
    deleted_deployments: dict[str, Deployment] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    models: dict[str, ModelVersion] = field(default_factory=dict)
    driven: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        (self.folder / "MLmodel").touch()
        self.endpoints["e"] = endpoint("e", properties={"traffic": {"blue": 100}})
        self.deployments["e/blue"] = deployment("e", "blue", self.folder)
        self.operations |= {"op-e": operation("op-e", "e"), "op-e-blue": operation("op-e-blue", "e/blue")}
        self.jobs["j"] = Job("j", {}, "n", {"m": "m"}, 1.0, 1.0, "Completed", 2.0, 3.0)
        self.steps["j/0"] = Step("j", "train", "r", 0, "Completed", 2.0, 3.0)
        self.models["m/1"] = ModelVersion("m", "1", {}, 1.0, 1.0, "j", str(self.folder))

    def sentences(self) -> list[str]:
        rows = {name: value for name, value in vars(self).items() if name not in ("folder", "driven")}
        return impossible_states(
            Facts(
                **rows,
                driven=frozenset(self.driven),
                coming_up=frozenset(),
                output_folder=lambda _job, _output: self.folder,
            )
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "model")


def test_a_world_where_all_is_well_has_nothing_impossible(world: World) -> None:
    assert world.sentences() == []


def no_endpoint(world: World) -> None:
    del world.endpoints["e"]
    world.operations["op-e"] = operation("op-e", "e/blue")


def open_twice(world: World) -> None:
    for name in ("op-e", "op-e-blue"):
        world.operations[name] = replace(world.operations[name], ended=None)


def never_existed(world: World) -> None:
    world.operations["x"] = operation("x", "ghost")


def orphan_operation(world: World) -> None:
    world.operations["x"] = operation("x", "e", ended=None)


def twice_alive(world: World) -> None:
    world.deleted_endpoints["e@0"] = endpoint("e", created=0.0, deleted=5.0)


def two_names(world: World) -> None:
    world.endpoints["E"] = endpoint("E", operation="op-e")


def empty_output(world: World) -> None:
    (world.folder / "MLmodel").unlink()


def changed(collection: str, key: str, **changes: Any) -> Any:
    def change(world: World) -> None:
        rows = getattr(world, collection)
        rows[key] = replace(rows[key], **changes)

    return change


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (no_endpoint, "deployment e/blue has no endpoint"),
        (two_names, "2 endpoints are named e"),
        (changed("endpoints", "e", name="f"), "endpoint f is stored as e"),
        (changed("endpoints", "e", properties={"traffic": {"ghost": 100}}), "unknown deployments ghost"),
        (changed("endpoints", "e", properties={"traffic": {"blue": 40}}), "the traffic of endpoint e sums to 40"),
        (changed("endpoints", "e", operation="gone"), "an operation that does not exist"),
        (changed("endpoints", "e", pending="Deleting"), "still there after its deletion"),
        (open_twice, "2 operations at the same time"),
        (changed("deployments", "e/blue", serving=None), "succeeded, but serves None instead of 1"),
        (changed("deployments", "e/blue", serving_model="/nowhere"), "a model that does not exist"),
        (changed("operations", "op-e-blue", ended=None, awaits_work=True), "nobody brings it up"),
        (changed("operations", "op-e", ended=0.5), "ended before it began"),
        (never_existed, "that never existed"),
        (orphan_operation, "nothing refers to it"),
        (twice_alive, "endpoint e exists twice at the same time"),
        (changed("jobs", "j", ended=None), "its end is None"),
        (changed("jobs", "j", started=9.0), "out of order"),
        (changed("jobs", "j", status="Running", ended=None), "job j is Running, and nobody drives it"),
        (empty_output, "Completed without its output m"),
        (changed("steps", "j/0", ended=None), "its step train is Completed"),
        (changed("steps", "j/0", status="Failed"), "its step train is Failed"),
        (changed("steps", "j/0", job="ghost"), "is of no job"),
        (changed("models", "m/1", job="ghost"), "which is unknown"),
        (changed("models", "m/1", folder="/nowhere"), "the files of model m/1 do not exist"),
    ],
)
def test_an_impossible_state_is_named(world: World, damage: Any, sentence: str) -> None:
    damage(world)

    assert any(sentence in found for found in world.sentences()), world.sentences()
