"""Managed online endpoints and their deployments: names, traffic, one operation at a time, deletion."""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from localcloud.azureml import errors
from localcloud.store import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azureml.clock import Clock
    from localcloud.azureml.operations import Operations
    from localcloud.config import Durations
    from localcloud.store import Store

log = logging.getLogger(__name__)

MAX_DEPLOYMENTS = 20
"""Per endpoint: https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas"""

_NAME = re.compile(r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$")
_STABLE = frozenset({"Succeeded", "Failed", "Canceled"})


@dataclass(frozen=True)
class Endpoint:
    """`pending` is what its last operation does: Creating, Updating or Deleting."""

    name: str
    properties: dict[str, Any]
    tags: dict[str, str]
    identity: dict[str, Any]
    pending: str
    operation: str
    created: float
    modified: float
    primary_key: str
    secondary_key: str
    deleted: float | None = None

    @property
    def traffic(self) -> dict[str, int]:
        return self.properties.get("traffic") or {}


@dataclass(frozen=True)
class Deployment:
    """`revision` grows with every PUT; `serving` is the one whose worker answers, None before the first."""

    endpoint: str
    name: str
    properties: dict[str, Any]
    tags: dict[str, str]
    sku: dict[str, Any]
    pending: str
    operation: str
    created: float
    modified: float
    revision: int = 1
    serving: int | None = None
    serving_model: str = field(default="")
    deleted: float | None = None

    @property
    def key(self) -> str:
        return f"{self.endpoint}/{self.name}"

    @property
    def model(self) -> str:
        return str(self.properties.get("model") or "")


class Endpoints:
    """Every method first settles: what was being deleted and is due is gone, and kept in the history."""

    def __init__(self, store: Store, clock: Clock, operations: Operations, durations: Durations) -> None:
        self._store = store
        self._clock = clock
        self._operations = operations
        self._durations = durations
        self._endpoints = Collection(store, "endpoints", Endpoint)
        self._deployments = Collection(store, "deployments", Deployment)
        self._deleted_endpoints = Collection(store, "deleted_endpoints", Endpoint)
        self._deleted_deployments = Collection(store, "deleted_deployments", Deployment)

    def get(self, name: str) -> Endpoint:
        """Raises UserError 404."""
        endpoint = self.find(name)
        if endpoint is None:
            raise errors.endpoint_not_found(name)
        return endpoint

    def find(self, name: str) -> Endpoint | None:
        self.settle()
        return self._endpoints.get(name)

    def all(self) -> list[Endpoint]:
        self.settle()
        return self._endpoints.all()

    def history(self) -> tuple[list[Endpoint], list[Deployment]]:
        """What was deleted."""
        self.settle()
        return self._deleted_endpoints.all(), self._deleted_deployments.all()

    def existed(self, name: str) -> bool:
        return self.find(name) is not None or bool(self._deleted_endpoints.all(f"{name}@"))

    def get_deployment(self, endpoint: str, name: str) -> Deployment:
        """Raises UserError 404 for either."""
        self.get(endpoint)
        deployment = self._deployments.get(f"{endpoint}/{name}")
        if deployment is None:
            raise errors.deployment_not_found(endpoint, name)
        return deployment

    def deployments(self, endpoint: str) -> list[Deployment]:
        """Raises UserError 404."""
        self.get(endpoint)
        return self._deployments.all(f"{endpoint}/")

    def all_deployments(self) -> list[Deployment]:
        self.settle()
        return self._deployments.all()

    def state(self, resource: Endpoint | Deployment) -> str:
        operation = self._operations.look(resource.operation)
        if operation is None or operation.ended is None:
            return resource.pending
        return operation.status

    def put(self, name: str, body: Mapping[str, Any]) -> tuple[Endpoint, bool]:
        """Also says whether it is new. Raises CloudError."""
        existing = self.find(name)
        _check_name("Endpoint", name)
        properties = _properties(body, "authMode")
        if str(properties["authMode"]).lower() != "key":
            raise errors.invalid_argument("The local cloud knows key authentication only.")
        known = set() if existing is None else {d.name for d in self._deployments.all(f"{name}/")}
        _check_traffic(properties.get("traffic") or {}, known)
        if existing is not None:
            self._require_idle(existing)
        now = self._clock.now()
        seconds = self._durations.endpoint_create if existing is None else self._durations.endpoint_update
        operation = self._operations.begin("oeidp", name, seconds)
        endpoint = Endpoint(
            name=name,
            properties=properties,
            tags=dict(body.get("tags") or {}),
            identity=dict(body.get("identity") or {"type": "SystemAssigned"}),
            pending="Creating" if existing is None else "Updating",
            operation=operation.id,
            created=now if existing is None else existing.created,
            modified=now,
            primary_key=secrets.token_urlsafe(32) if existing is None else existing.primary_key,
            secondary_key=secrets.token_urlsafe(32) if existing is None else existing.secondary_key,
        )
        self._endpoints.put(name, endpoint)
        log.info("endpoint %s: %s, traffic %s", name, endpoint.pending, endpoint.traffic)
        return endpoint, existing is None

    def patch_tags(self, name: str, tags: Mapping[str, str | None]) -> Endpoint:
        """JSON merge patch, as the specification's nullable values say: null removes a tag."""
        endpoint = self.get(name)
        self._require_idle(endpoint)
        merged = {key: value for key, value in {**endpoint.tags, **tags}.items() if value is not None}
        patched = replace(endpoint, tags=merged, modified=self._clock.now())
        self._endpoints.put(name, patched)
        return patched

    def regenerate_key(self, name: str, key_type: str) -> Endpoint:
        endpoint = self.get(name)
        key = secrets.token_urlsafe(32)
        if key_type.lower() == "secondary":
            changed = replace(endpoint, secondary_key=key)
        else:
            changed = replace(endpoint, primary_key=key)
        self._endpoints.put(name, changed)
        return changed

    def delete(self, name: str) -> Endpoint | None:
        """None when it does not exist. Its deployments go with it."""
        endpoint = self.find(name)
        if endpoint is None:
            return None
        self._require_idle(endpoint)
        operation = self._operations.begin("oeidp", name, self._durations.endpoint_delete)
        deleting = replace(endpoint, pending="Deleting", operation=operation.id)
        with self._store.transaction():
            self._endpoints.put(name, deleting)
            for deployment in self._deployments.all(f"{name}/"):
                self._deployments.put(deployment.key, replace(deployment, pending="Deleting", operation=operation.id))
        log.info("endpoint %s: Deleting", name)
        return deleting

    def put_deployment(self, endpoint_name: str, name: str, body: Mapping[str, Any]) -> tuple[Deployment, bool]:
        """Also says whether it is new. Somebody must then start its worker. Raises CloudError."""
        endpoint = self.get(endpoint_name)
        _check_name("Deployment", name)
        self._require_idle(endpoint)
        existing = self._deployments.get(f"{endpoint_name}/{name}")
        if existing is None and len(self._deployments.all(f"{endpoint_name}/")) >= MAX_DEPLOYMENTS:
            raise errors.invalid_argument(f"Endpoint {endpoint_name} has {MAX_DEPLOYMENTS} deployments already.")
        properties = _properties(body, "endpointComputeType", "instanceType")
        now = self._clock.now()
        operation = self._operations.begin(
            "odidp", f"{endpoint_name}/{name}", self._durations.deployment_create, awaits_work=True
        )
        deployment = Deployment(
            endpoint=endpoint_name,
            name=name,
            properties=properties,
            tags=dict(body.get("tags") or {}),
            sku={"name": "Default", "tier": "Standard", "capacity": 1, **(body.get("sku") or {})},
            pending="Updating",  # a new one too: recording online_endpoint_and_deployment_create_delete
            operation=operation.id,
            created=now if existing is None else existing.created,
            modified=now,
            revision=1 if existing is None else existing.revision + 1,
            serving=None if existing is None else existing.serving,
            serving_model="" if existing is None else existing.serving_model,
        )
        self._deployments.put(deployment.key, deployment)
        log.info("deployment %s: %s", deployment.key, deployment.pending)
        return deployment, existing is None

    def mark_serving(self, endpoint: str, name: str, revision: int, model: str) -> None:
        deployment = self._deployments.get(f"{endpoint}/{name}")
        if deployment is not None and deployment.revision == revision:
            self._deployments.put(deployment.key, replace(deployment, serving=revision, serving_model=model))

    def delete_deployment(self, endpoint_name: str, name: str) -> Deployment | None:
        """None when there is no such deployment. Raises CloudError."""
        endpoint = self.get(endpoint_name)
        deployment = self._deployments.get(f"{endpoint_name}/{name}")
        if deployment is None:
            return None
        if endpoint.traffic.get(name):
            raise errors.invalid_argument(
                f"Deployment {name} of endpoint {endpoint_name} has traffic of {endpoint.traffic[name]} %: "
                "set it to 0 before it is deleted."
            )
        self._require_idle(endpoint)
        operation = self._operations.begin("odidp", f"{endpoint_name}/{name}", self._durations.deployment_delete)
        deleting = replace(deployment, pending="Deleting", operation=operation.id)
        self._deployments.put(deployment.key, deleting)
        log.info("deployment %s: Deleting", deployment.key)
        return deleting

    def settle(self) -> None:
        """Move what is due from being deleted to deleted."""
        for deployment in self._deployments.all():
            ended = self._deleted_at(deployment)
            if ended is not None:
                self._bury_deployment(deployment, ended)
        for endpoint in self._endpoints.all():
            ended = self._deleted_at(endpoint)
            if ended is not None:
                with self._store.transaction():
                    self._endpoints.delete(endpoint.name)
                    self._deleted_endpoints.put(
                        f"{endpoint.name}@{endpoint.created:.6f}", replace(endpoint, deleted=ended)
                    )
                log.info("endpoint %s: deleted", endpoint.name)

    def _bury_deployment(self, deployment: Deployment, ended: float) -> None:
        with self._store.transaction():
            self._deployments.delete(deployment.key)
            self._deleted_deployments.put(
                f"{deployment.key}@{deployment.created:.6f}", replace(deployment, deleted=ended)
            )
            endpoint = self._endpoints.get(deployment.endpoint)
            if endpoint is not None and deployment.name in endpoint.traffic:
                traffic = {name: share for name, share in endpoint.traffic.items() if name != deployment.name}
                self._endpoints.put(
                    endpoint.name,
                    replace(endpoint, properties={**endpoint.properties, "traffic": traffic}),
                )
        log.info("deployment %s: deleted", deployment.key)

    def _deleted_at(self, resource: Endpoint | Deployment) -> float | None:
        if resource.pending != "Deleting":
            return None
        operation = self._operations.look(resource.operation)
        return None if operation is None else operation.ended

    def _require_idle(self, endpoint: Endpoint) -> None:
        """Raises CloudError 409 while the endpoint or a deployment of it is changing."""
        resources: list[Endpoint | Deployment] = [endpoint, *self._deployments.all(f"{endpoint.name}/")]
        for state in map(self.state, resources):
            if state not in _STABLE:
                raise errors.operation_in_progress(endpoint.name, state)


def _properties(body: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """Of a tracked resource. Raises UserError when what the specification requires is not there."""
    properties = dict(body.get("properties") or {})
    missing = [name for name in required if not properties.get(name)]
    if not body.get("location"):
        missing.insert(0, "location")
    if missing:
        raise errors.invalid_argument(f"The request is invalid: {', '.join(missing)} is required.")
    return properties


def _check_name(kind: str, name: str) -> None:
    if not 3 <= len(name) <= 32 or not _NAME.match(name):
        raise errors.invalid_argument(
            f"{kind} name '{name}' is invalid: it must have 3 to 32 characters, begin with a letter, contain "
            "letters, digits and '-' only, and end with a letter or digit."
        )


def _check_traffic(traffic: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(traffic) - known)
    if unknown:
        raise errors.invalid_argument(f"Traffic names deployments that do not exist: {', '.join(unknown)}.")
    shares = list(traffic.values())
    if any(not isinstance(share, int) or not 0 <= share <= 100 for share in shares):
        raise errors.invalid_argument("Traffic percentages are integers from 0 to 100.")
    if sum(shares) not in (0, 100):
        raise errors.invalid_argument(f"Traffic percentages must sum to 0 or 100, not to {sum(shares)}.")
