"""The local cloud answers recorded requests as the real service did: status, headers, shape, states, errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from localcloud.config import Compute
from localcloud.exchanges import VARIABLE
from tests.contract.recordings.comparison import differences
from tests.contract.recordings.flows import FLOWS, Flow
from tests.contract.recordings.known_differences import KNOWN, explained
from tests.contract.recordings.replay import Replay
from tests.integration.azureml_support import new_config, running
from tests.reference import RECORDINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.recordings.known_differences import Known
    from tests.integration.azureml_support import Cloud

pytest_plugins = ("tests.integration.azureml_fixtures",)
pytestmark = [
    pytest.mark.localcloud,
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="there are no recordings beside the checkout"),
]


@dataclass(frozen=True)
class Outcome:
    compared: int
    unexplained: tuple[str, ...]
    used: frozenset[Known]


@pytest.fixture(scope="module")
def replayed(azureml_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Flow], Outcome]]:
    """Replays a flow, once, and unrecorded: its api-versions are older than those that there are specifications of."""
    computes = (Compute("cpu-cluster"),)
    config = new_config(tmp_path_factory.mktemp("recordings"), azureml_cloud.config, computes=computes)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(VARIABLE, raising=False)
        with running(config) as cloud:
            yield cache(lambda flow: replay(cloud, flow))


def replay(cloud: Cloud, flow: Flow) -> Outcome:
    adapt = flow.set_up(cloud)
    if flow.manual:
        cloud.control("POST", "/progress", {"mode": "manual"})
    client = Replay(cloud, dict(flow.names), adapt)
    unexplained: list[str] = []
    used: set[Known] = set()
    exchanges = flow.exchanges()
    try:
        for recorded in exchanges:
            flow.prepare(cloud, recorded)
            answered = client.send(recorded)
            request = f"{recorded.method} {recorded.url}"
            for message in differences(recorded, answered, client.translate, has_all_headers=flow.has_all_headers):
                known = explained(flow.recording, request, message)
                if known is None:
                    unexplained.append(f"{request}: {message}")
                else:
                    used.add(known)
    finally:
        if flow.manual:
            cloud.control("POST", "/progress", {"mode": "scaled"})
    return Outcome(len(exchanges), tuple(unexplained), frozenset(used))


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.recording)
def test_a_recorded_flow_is_answered_as_the_service_did(flow: Flow, replayed: Callable[[Flow], Outcome]) -> None:
    outcome = replayed(flow)

    assert outcome.compared > 0
    assert outcome.unexplained == ()


def test_every_known_difference_is_still_one(replayed: Callable[[Flow], Outcome]) -> None:
    used = {known for flow in FLOWS for known in replayed(flow).used}

    assert [known for known in KNOWN if known not in used] == []
