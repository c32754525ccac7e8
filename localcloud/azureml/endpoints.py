"""Managed online endpoints and their deployments: names, traffic, one operation at a time, deletion."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from localcloud.azureml import endpoint_rules as rules
from localcloud.azureml import errors, serving_errors
from localcloud.azureml.failures import provoked
from localcloud.azureml.quota import Quota
from localcloud.store import Collection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from localcloud.azureml.clock import Clock
    from localcloud.azureml.limits import CurrentLimits
    from localcloud.azureml.operations import Operations
    from localcloud.config import Durations
    from localcloud.store import Store

log = logging.getLogger(__name__)

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
    out_of_quota: bool = False
    """Its last operation failed for want of cores, so that it has none."""
    deleted: float | None = None

    @property
    def key(self) -> str:
        return f"{self.endpoint}/{self.name}"

    @property
    def model(self) -> str:
        return str(self.properties.get("model") or "")


class Endpoints:
    """Every method first settles: what was being deleted and is due is gone, and kept in the history."""

    def __init__(
        self, store: Store, clock: Clock, operations: Operations, durations: Durations, limits: CurrentLimits
    ) -> None:
        self._store = store
        self._clock = clock
        self._operations = operations
        self._durations = durations
        self._limits = limits
        self._endpoints = Collection(store, "endpoints", Endpoint, index=("pending",))
        self._deployments = Collection(store, "deployments", Deployment, index=("pending",))
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

    def quota(self) -> Quota:
        """As the limits are now."""
        return Quota(self._limits.now, self._deployments.all)

    def state(self, resource: Endpoint | Deployment) -> str:
        operation = self._operations.look(resource.operation)
        if operation is None or operation.ended is None:
            return resource.pending
        return operation.status

    def put(self, name: str, body: Mapping[str, Any]) -> tuple[Endpoint, bool]:
        """Also says whether it is new. Raises CloudError."""
        existing = self.find(name)
        rules.check_name("Endpoint", name)
        properties = rules.properties_of(body, "authMode")
        if str(properties["authMode"]).lower() != "key":
            raise errors.invalid_argument("The local cloud knows key authentication only.")
        known = [] if existing is None else [d.name for d in self._deployments.all(f"{name}/")]
        rules.check_traffic(properties.get("traffic") or {}, known)
        if existing is None:
            self._require_free(name)
        else:
            self._require_idle(existing)
        now = self._clock.now()
        seconds = self._durations.endpoint_create if existing is None else self._durations.endpoint_update
        operation = self._operations.begin("oeidp", name, seconds)
        failure = provoked(self._limits.now.failures, name)
        if failure is not None:
            self._operations.fail(operation.id, failure.code, failure.message)
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
        rules.check_name("Deployment", name)
        properties = rules.properties_of(body, "endpointComputeType", "instanceType")
        sku = rules.sku_of(properties)
        instances = rules.instances_of(body.get("sku") or {})
        rules.check_wanted_failure(properties)
        existing = self._deployments.get(f"{endpoint_name}/{name}")
        self._require_deployable(endpoint, name, existing)
        shortage = self.quota().shortage(sku, instances, replaced=existing)
        if shortage is not None and self._limits.now.quota_refusal == "request":
            raise serving_errors.not_enough_quota(
                properties["instanceType"], shortage.used, shortage.limit, shortage.needed
            )
        now = self._clock.now()
        operation = self._operations.begin(
            "odidp", f"{endpoint_name}/{name}", self._durations.deployment_create, awaits_work=True
        )
        if shortage is not None:
            self._operations.fail(operation.id, *serving_errors.out_of_quota(sku, instances))
        deployment = Deployment(
            endpoint=endpoint_name,
            name=name,
            properties=properties,
            tags=dict(body.get("tags") or {}),
            sku={"name": "Default", "tier": "Standard", **(body.get("sku") or {}), "capacity": instances},
            pending="Updating",  # a new one too: recording online_endpoint_and_deployment_create_delete
            operation=operation.id,
            created=now if existing is None else existing.created,
            modified=now,
            revision=1 if existing is None else existing.revision + 1,
            serving=None if existing is None else existing.serving,
            serving_model="" if existing is None else existing.serving_model,
            out_of_quota=shortage is not None and (existing is None or existing.serving is None),
        )
        self._deployments.put(deployment.key, deployment)
        log.info("deployment %s: %s", deployment.key, deployment.pending)
        return deployment, existing is None

    def awaits_worker(self, deployment: Deployment) -> bool:
        """Whether somebody must bring it up: not if it was refused, nor once it has come up or failed."""
        return self._operations.awaits_work(deployment.operation)

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
            raise serving_errors.deployment_has_traffic(name, endpoint.traffic[name])
        self._require_idle(endpoint)
        operation = self._operations.begin("odidp", f"{endpoint_name}/{name}", self._durations.deployment_delete)
        deleting = replace(deployment, pending="Deleting", operation=operation.id)
        self._deployments.put(deployment.key, deleting)
        log.info("deployment %s: Deleting", deployment.key)
        return deleting

    def settle(self) -> None:
        """Move what is due from being deleted to deleted."""
        for deployment in self._deployments.where("pending", "Deleting"):
            ended = self._deleted_at(deployment)
            if ended is not None:
                self._bury_deployment(deployment, ended)
        for endpoint in self._endpoints.where("pending", "Deleting"):
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
        """Of a resource whose last operation is its deletion."""
        operation = self._operations.look(resource.operation)
        return None if operation is None else operation.ended

    def _require_free(self, name: str) -> None:
        """Raises FrontEndError when there can be no endpoint of that name, or no further one at all."""
        limits = self._limits.now
        if name in limits.taken_endpoint_names:
            raise serving_errors.endpoint_name_taken()
        reserved = self._clock.now() - self._clock.scaled(self._durations.endpoint_name_reuse)
        if any(former.deleted and former.deleted > reserved for former in self._deleted_endpoints.all(f"{name}@")):
            raise serving_errors.endpoint_name_not_yet_free()
        used = len(self._endpoints)
        if used >= limits.endpoints:
            raise serving_errors.endpoint_quota_reached(used, limits.endpoints)

    def _require_deployable(self, endpoint: Endpoint, name: str, existing: Deployment | None) -> None:
        """Raises CloudError when the endpoint takes no deployment of that name now."""
        if self.state(endpoint) in ("Failed", "Canceled", "Deleting"):
            raise serving_errors.endpoint_not_usable()
        self._require_idle(endpoint)
        limit = self._limits.now.deployments_per_endpoint
        if existing is None and len(self._deployments.all(f"{endpoint.name}/")) >= limit:
            raise serving_errors.too_many_deployments(endpoint.name, limit)
        if existing is not None and existing.serving is None and self.state(existing) in ("Failed", "Canceled"):
            raise serving_errors.deployment_not_recoverable(name)

    def _require_idle(self, endpoint: Endpoint) -> None:
        """Raises CloudError 409 while the endpoint or a deployment of it is changing."""
        resources: list[Endpoint | Deployment] = [endpoint, *self._deployments.all(f"{endpoint.name}/")]
        for state in map(self.state, resources):
            if state not in _STABLE:
                raise errors.operation_in_progress(endpoint.name, state)
