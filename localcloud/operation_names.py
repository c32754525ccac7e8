"""Stable names of the operations: what the specification calls them, derived from method and route.

`OnlineDeployments_CreateOrUpdate`, `Jobs_Cancel`: the operationIds of
https://github.com/Azure/azure-rest-api-specs, Microsoft.MachineLearningServices. What has none there (run history,
MLflow, registry discovery, scoring...) has a name of our own in the same form.
"""

from __future__ import annotations

import re

_WORKSPACE = "/workspaces/{workspace}"
_REGISTRY = "/registries/{registry}"
_TRACKING = (
    "/mlflow/v1.0/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices"
    "/workspaces/{workspace}/api/2.0/mlflow"
)

_GROUPS = {
    "components/labels": "Component",
    "components/versions": "Component",
    "components": "Component",
    "models/labels": "Model",
    "models/versions": "Model",
    "models": "Model",
    "onlineEndpoints/deployments": "OnlineDeployments",
    "onlineEndpoints": "OnlineEndpoints",
    "jobs": "Jobs",
}
"""Types below a workspace or registry; a type that is not here is called by its own last word."""

_VERSIONED = frozenset({"Component", "Model"})
_VERBS = {"PUT": "CreateOrUpdate", "PATCH": "Update", "DELETE": "Delete"}

_OTHERS = {
    "GET /discovery": "Discovery_Get",
    "GET /metadata/endpoints": "CloudMetadata_List",
    "GET " + _TRACKING + "/runs/get": "MLflow_GetRun",
    "GET " + _TRACKING + "/metrics/get-history": "MLflow_GetMetricHistory",
    "GET /api/retail/prices": "RetailPrices_List",
    "POST /inference/{endpoint}/score": "Scoring_Score",
    "POST /eventgrid/topics/{name}/api/events": "Topics_PublishEvents",
    "GET /eventgrid/eventsubscriptions/{name}/validate": "EventSubscriptions_Validate",
    "POST /eventgrid/eventsubscriptions/{name}/validate": "EventSubscriptions_ValidateByPost",
}


def operation_name(method: str, path: str) -> str:
    """`path` is the template of a route. What no rule knows is called `METHOD path`."""
    if known := _OTHERS.get(f"{method} {path}"):
        return known
    if path.endswith("/metrics:getBatch"):
        return "Metrics_Batch"
    if path.startswith("/history/"):
        return _history(method, path)
    if path.endswith("/locations/{location}/usages"):
        return "Usages_List"
    if path.endswith("/locations/{location}/vmSizes"):
        return "VirtualMachineSizes_List"
    if path.endswith("/systemTopics"):
        return "SystemTopics_ListBySubscription"
    if path.endswith("/systemTopics/{topic}/eventSubscriptions"):
        return "SystemTopicEventSubscriptions_ListBySystemTopic"
    if "/mfeOperationsStatus/" in path:
        return "OperationStatus_Get"
    if "/mfeOperationResults/" in path:
        return "OperationResults_Get"
    for root, prefix in ((_WORKSPACE, ""), (_REGISTRY, "Registry")):
        _, found, rest = path.partition(root)
        if found:
            return _child(method, rest, prefix) or f"{'Workspaces' if not prefix else 'Registries'}_{_own(method)}"
    if path.endswith("/discovery") and "registries" in path:
        return "Registries_Discover"
    return f"{method} {path}"


def _own(method: str) -> str:
    return "Get" if method == "GET" else _VERBS.get(method, method.title())


def _child(method: str, rest: str, prefix: str) -> str | None:
    """For example `/onlineEndpoints/{endpoint}/deployments`; None when nothing is there."""
    segments = rest.strip("/").split("/") if rest.strip("/") else []
    if not segments:
        return None
    names = [segment for segment in segments if not segment.startswith("{")]
    is_one = segments[-1].startswith("{")
    if prefix and names == ["discovery"]:
        return "Registries_Discover"
    action = None
    if method == "POST" and not is_one:
        action = names.pop()
    return f"{prefix}{_group(names)}_{_verb(method, action, is_one, names)}"


def _group(names: list[str]) -> str:
    kind = "/".join(names)
    group = _GROUPS.get(kind) or names[-1][:1].upper() + names[-1][1:]
    if group not in _VERSIONED:
        return group
    return f"{group}Containers" if len(names) == 1 else f"{group}Versions"


def _verb(method: str, action: str | None, is_one: bool, names: list[str]) -> str:
    if action is not None:
        return action[:1].upper() + action[1:]
    if method == "GET":
        if names[-1] == "labels":
            return "GetByLabel"
        return "Get" if is_one else "List"
    return _VERBS.get(method, method.title())


def _history(method: str, path: str) -> str:
    if path.endswith("/rundata"):
        return "RunHistory_GetRunData"
    last = re.sub(r"[{}]", "", path.rpartition("/")[2])
    verb = {"run": "Get", "details": "GetDetails", "children": "ListChildren"}.get(last)
    return f"RunHistory_{verb}" if verb else f"RunHistory_{method.title()}{last[:1].upper()}{last[1:]}"
