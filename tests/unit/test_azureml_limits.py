"""Limits: what they count, whom they allow what, and that they are remembered."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from localcloud.azureml import access, skus
from localcloud.azureml.limits import CurrentLimits
from localcloud.config import CloudConfig, Compute, Limits, Ports
from localcloud.http import CloudError
from localcloud.identity import Caller
from localcloud.store import Store

REFERENCE = Path(os.environ.get("DROPTUNE_REFERENCE", Path(__file__).parents[2].parent / "shared" / "reference"))
SKUS = REFERENCE / "azureml" / "managed_online_skus.json"

ME = Caller("audience", "", "my-object", "my-client")
WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"


@pytest.mark.parametrize(("instances", "reserved"), [(1, 2), (4, 5), (5, 6), (6, 8), (10, 12), (100, 120)])
def test_a_fifth_more_instances_are_reserved_rounded_up(instances: int, reserved: int) -> None:
    sku = skus.find("Standard_ds3_V2")

    assert sku is not None
    assert sku.reserved_cores(instances) == reserved * 4
    assert replace(sku, exempt_from_reserve=True).reserved_cores(instances) == instances * 4


@pytest.mark.skipif(not SKUS.exists(), reason="the reference facts are not beside this checkout")
def test_every_size_of_the_reference_is_known_as_it_is() -> None:
    for fact in json.loads(SKUS.read_text())["skus"]:
        expected = skus.Sku(fact["sku"], fact["family"], fact["cores"], fact["skip_20pct_reservation"])
        assert skus.find(fact["sku"]) == expected


def test_changes_are_remembered_until_they_are_reset(tmp_path: Path) -> None:
    configured = Limits(endpoints=7, archived_models=("m:1",))
    store = Store(tmp_path / "azure.db")
    CurrentLimits(store, configured).change({"roles": {"me": ["Reader"]}, "requests": 3})

    reopened = CurrentLimits(store, configured)

    assert reopened.now == replace(configured, roles={"me": ("Reader",)}, requests=3)
    assert reopened.reset() == CurrentLimits(store, configured).now == configured
    store.close()


def test_the_configuration_carries_limits_and_computes(tmp_path: Path) -> None:
    limits = Limits(cores={"standardDSv2Family": 8}, roles={"me": ("Reader",)}, taken_endpoint_names=("a",))
    config = CloudConfig(str(tmp_path), Ports(*range(1, 7)), "s", (), limits=limits, computes=(Compute("small"),))
    config.save()

    assert CloudConfig.load(config.file) == config


@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        ("Reader", "GET", "/jobs/j", True),
        ("Reader", "POST", "/jobs/j/cancel", False),
        ("AzureML Data Scientist", "PUT", "/jobs/j", True),
        ("AzureML Data Scientist", "GET", "/computes/c", True),
        ("AzureML Data Scientist", "DELETE", "/computes/c/nodes/n", False),
        ("AzureML Data Scientist", "DELETE", "", False),
        ("AzureML Data Scientist", "GET", "", True),
        ("Contributor", "DELETE", "", True),
        ("microsoft.machinelearningservices/workspaces/JOBS/*", "PUT", "/jobs/j", True),
        ("microsoft.machinelearningservices/workspaces/JOBS/*", "PUT", "/models/m/versions/1", False),
        ("Microsoft.MachineLearningServices/workspaces/models/versions/write", "PUT", "/models/m/versions/1", True),
    ],
)
def test_a_role_allows_the_actions_that_match_it(role: str, method: str, path: str, allowed: bool) -> None:
    def authorize() -> None:
        access.authorize({ME.object_id: (role,)}, ME, method, WORKSPACE + path)

    if allowed:
        authorize()
        return
    with pytest.raises(CloudError, match="AuthorizationFailed"):
        authorize()


@pytest.mark.parametrize(("method", "action"), [("GET", "read"), ("POST", "read"), ("PATCH", "write")])
def test_run_history_is_read_with_post_too(method: str, action: str) -> None:
    with pytest.raises(CloudError, match=f"workspaces/experiments/runs/{action}' over scope '{WORKSPACE}/rundata'"):
        access.authorize({ME.client_id: ()}, ME, method, f"/history/v1.0{WORKSPACE}/rundata")


def test_who_has_no_roles_at_all_may_do_everything_and_so_may_everybody_outside_the_workspace() -> None:
    access.authorize({"another": ()}, ME, "DELETE", WORKSPACE)
    access.authorize({ME.object_id: ()}, ME, "GET", "/mferp/managementfrontend/registries/azureml/models/m/versions")
