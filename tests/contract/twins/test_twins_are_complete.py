"""Every public method of every part that the app uses has its twin, with the same signature."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable

import pytest

from shared.azureml.arm import ArmClient
from shared.azureml.sdk import SdkClient
from shared.blobs import Blobs
from shared.costs.retail import RetailPrices
from shared.lifecycle.ledger import Ledger
from shared.lifecycle.queues import WakeUps
from shared.services import Services
from shared.serving.scoring import ScoringClient
from tests.simulation.twins.arm import ArmTwin
from tests.simulation.twins.blobs import BlobsTwin
from tests.simulation.twins.prices import RetailPricesTwin
from tests.simulation.twins.queues import WakeUpsTwin
from tests.simulation.twins.sdk import SdkTwin
from tests.simulation.twins.services import TwinServices
from tests.simulation.twins.serving import ScoringTwin
from tests.simulation.twins.tables import LedgerTwin

PAIRS: list[tuple[type, type]] = [
    (Ledger, LedgerTwin),
    (WakeUps, WakeUpsTwin),
    (Blobs, BlobsTwin),
    (ArmClient, ArmTwin),
    (SdkClient, SdkTwin),
    (ScoringClient, ScoringTwin),
    (RetailPrices, RetailPricesTwin),
]
LIFECYCLE = {
    "lifecycle",
    "intake",
    "smoke_stage",
    "job_events",
    "poison_messages",
    "reconciler",
    "replayer",
    "canceler",
    "status",
    "books",
    "prices",
    "statement",
    "dashboard",
    "endpoint_keeper",
    "usage",
    "gateway",
    "telemetry",
    "sweep",
}
"""What Services puts together of clients, settings and clock: real in the simulation."""


def public(kind: type) -> Iterable[str]:
    return [name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize(("real", "twin"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_twin_has_every_public_method_of_the_real_part(real: type, twin: type) -> None:
    missing = [name for name in public(real) if name not in vars(twin)]
    assert missing == [], f"{twin.__name__} would run the real one"


@pytest.mark.parametrize(("real", "twin"), PAIRS, ids=lambda kind: kind.__name__)
def test_the_methods_of_a_twin_take_what_the_real_ones_take(real: type, twin: type) -> None:
    for name in public(real):
        expected = inspect.signature(getattr(real, name))
        assert inspect.signature(getattr(twin, name)) == expected, name


def test_every_client_of_services_is_a_twin_in_the_simulation() -> None:
    made = {name for name, value in vars(Services).items() if isinstance(value, functools.cached_property)}
    assert made - set(vars(TwinServices)) == LIFECYCLE
