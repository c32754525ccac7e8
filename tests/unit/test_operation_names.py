"""Operations are named as the specification names them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from localcloud.operation_names import operation_name

REFERENCE = Path(os.environ.get("DROPTUNE_REFERENCE", Path(__file__).parents[2].parent / "shared" / "reference"))
SPECIFICATION = REFERENCE / "azureml" / "openapi" / "specification" / "machinelearningservices"
W = "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
R = "/mferp/managementfrontend/subscriptions/{s}/resourceGroups/{g}/providers/P/registries/{registry}"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", W, "Workspaces_Get"),
        ("PUT", W + "/onlineEndpoints/{endpoint}", "OnlineEndpoints_CreateOrUpdate"),
        ("PATCH", W + "/onlineEndpoints/{endpoint}", "OnlineEndpoints_Update"),
        ("POST", W + "/onlineEndpoints/{endpoint}/listKeys", "OnlineEndpoints_ListKeys"),
        ("GET", W + "/onlineEndpoints/{endpoint}/deployments", "OnlineDeployments_List"),
        ("PUT", W + "/onlineEndpoints/{endpoint}/deployments/{deployment}", "OnlineDeployments_CreateOrUpdate"),
        ("POST", W + "/onlineEndpoints/{endpoint}/deployments/{deployment}/getLogs", "OnlineDeployments_GetLogs"),
        ("POST", W + "/jobs/{job}/cancel", "Jobs_Cancel"),
        ("GET", W + "/models/{model}/versions/{version}", "ModelVersions_Get"),
        ("GET", W + "/models/{model}/labels/{label}", "ModelVersions_GetByLabel"),
        ("GET", W + "/models", "ModelContainers_List"),
        ("GET", R + "/components/{name}/versions/{version}", "RegistryComponentVersions_Get"),
        ("GET", R + "/models/{name}/versions", "RegistryModelVersions_List"),
        ("GET", "/registrymanagement/v1.0/registries/{registry}/discovery", "Registries_Discover"),
        ("GET", "/subscriptions/{s}/p/locations/{l}/mfeOperationsStatus/{operation}", "OperationStatus_Get"),
        ("GET", "/history/v1.0/x/workspaces/{workspace}/runs/{run}/details", "RunHistory_GetDetails"),
        ("POST", "/history/v1.0/x/workspaces/{workspace}/rundata", "RunHistory_GetRunData"),
        ("POST", "/inference/{endpoint}/score", "Scoring_Score"),
        ("GET", "/subscriptions/{s}/p/locations/{location}/usages", "Usages_List"),
        ("GET", "/subscriptions/{s}/p/locations/{location}/vmSizes", "VirtualMachineSizes_List"),
        ("POST", "/what/nobody/knows", "POST /what/nobody/knows"),
    ],
)
def test_an_operation_has_the_name_of_its_kind(method: str, path: str, name: str) -> None:
    assert operation_name(method, path) == name


@pytest.mark.skipif(not SPECIFICATION.is_dir(), reason="the specification's documents are not here")
def test_every_name_of_the_specification_that_we_derive_is_the_one_that_it_has() -> None:
    wanted = re.compile(r"/workspaces/\{workspaceName\}/(jobs|models|onlineEndpoints)\b")
    checked = 0
    for file in SPECIFICATION.rglob("2024-01-01-preview/mfe.json"):
        for path, operations in json.loads(file.read_text())["paths"].items():
            ours = path.replace("{workspaceName}", "{workspace}")
            for method, operation in operations.items():
                if not wanted.search(path) or path.endswith("/skus"):
                    continue
                name = operation_name(method.upper(), ours)
                if method == "post" and "token" in path:  # an irregular one that we do not serve
                    continue
                assert name == operation["operationId"], path
                checked += 1
    assert checked > 20
