"""Online endpoints and deployments: one operation at a time, traffic, deletion with everything below."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from tests.simulation.twins.progress import settle
from tests.simulation.twins.refusals import bad_request, busy, invalid, name_not_yet_free, name_taken, not_found
from tests.simulation.twins.world import Happening

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.azureml.resources import DeploymentRequest
    from tests.simulation.twins.models import Models
    from tests.simulation.twins.world import Fate, World

MAX_DEPLOYMENTS = 20
STABLE = frozenset({"Succeeded", "Failed", "Canceled"})
_NAME = re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?")


@dataclass
class Deployment:
    """`serving`: whether something answers; an update that fails leaves the earlier one answering."""

    endpoint: str
    name: str
    model: str
    instance_type: str
    instance_count: int
    tags: dict[str, str]
    created_at: datetime
    state: str = "Updating"
    operation: str = ""
    serving: bool = False


@dataclass
class Endpoint:
    name: str
    description: str
    tags: dict[str, str]
    traffic: dict[str, int]
    key: str
    created_at: datetime
    modified_at: datetime
    state: str = "Creating"
    operation: str = ""
    deployments: dict[str, Deployment] = field(default_factory=dict)


@dataclass
class Lifetime:
    """From the call that began the creation to the end of the deletion: what the cloud would send a bill for."""

    kind: Literal["endpoint", "deployment"]
    endpoint: str
    name: str
    instance_type: str
    instance_count: int
    tags: Mapping[str, str]
    begun: datetime
    ended: datetime | None = None


class Endpoints:
    """`all` is what is there now, `lifetimes` everything that ever was. By the ids of operations: `errors` is why they
    failed, `ended` when they ended well."""

    def __init__(self, world: World, models: Models) -> None:
        self._world = world
        self._models = models
        self._numbers = itertools.count(1)
        self._taken_until: dict[str, datetime] = {}
        self.all: dict[str, Endpoint] = {}
        self.taken_elsewhere: set[str] = set()
        """Names that another workspace of the region has."""
        self.lifetimes: list[Lifetime] = []
        self.errors: dict[str, str] = {}
        self.ended: dict[str, datetime] = {}

    def find(self, name: str) -> Endpoint | None:
        return self.all.get(name)

    def get(self, name: str) -> Endpoint:
        endpoint = self.find(name)
        if endpoint is None:
            raise not_found(f"Endpoint {name} not found.")
        return endpoint

    def visible(self) -> list[Endpoint]:
        return [endpoint for _, endpoint in sorted(self.all.items())]

    def existed(self, name: str) -> bool:
        """Now or ever."""
        return any(lifetime.kind == "endpoint" and lifetime.name == name for lifetime in self.lifetimes)

    def put(self, name: str, description: str, tags: Mapping[str, str], traffic: Mapping[str, int]) -> None:
        """Create or replace. Traffic counts at once; it is what it was if the update fails. Raises RefusedError."""
        existing = self.all.get(name)
        _check_name("Endpoint", name)
        _check_traffic(traffic, set(existing.deployments) if existing else set())
        if existing is None:
            if name in self.taken_elsewhere:
                raise name_taken()
            if self._world.now() < self._taken_until.get(name, self._world.now()):
                raise name_not_yet_free()
            self._create(name, description, tags)
            return
        self._require_idle(existing)
        earlier = existing.traffic
        existing.description, existing.tags, existing.traffic = description, dict(tags), dict(traffic)
        existing.modified_at = self._world.now()
        fate = self._begin(existing, "Updating", Happening.UPDATE_ENDPOINT, name)

        def failed() -> None:
            existing.traffic = earlier
            self._fail(existing, fate)

        self._settle(existing, fate, f"update of endpoint {name}", lambda: _succeed(existing), failed)

    def patch_tags(self, name: str, tags: Mapping[str, str]) -> None:
        """Others stay. Raises RefusedError."""
        endpoint = self.get(name)
        self._require_idle(endpoint)
        endpoint.tags = {**endpoint.tags, **tags}
        endpoint.modified_at = self._world.now()

    def delete(self, name: str) -> str:
        """With its deployments; the operation's id, empty if it is not there. Raises RefusedError."""
        endpoint = self.find(name)
        if endpoint is None:
            return ""
        self._require_idle(endpoint)
        before = {deployment.name: deployment.state for deployment in endpoint.deployments.values()}
        fate = self._begin(endpoint, "Deleting", Happening.DELETE_ENDPOINT, name)
        for deployment in endpoint.deployments.values():
            deployment.state = "Deleting"

        def gone() -> None:
            for deployment in list(endpoint.deployments.values()):
                self._bury(endpoint, deployment)
            del self.all[name]
            self._close("endpoint", name, name)
            forget = self._world.draw(Happening.FORGET_NAME, name)
            self._taken_until[name] = self._world.now() + timedelta(seconds=forget.seconds)

        def failed() -> None:
            for deployment in endpoint.deployments.values():
                deployment.state = before[deployment.name]
            self._fail(endpoint, fate)

        self._settle(endpoint, fate, f"deletion of endpoint {name}", gone, failed)
        return endpoint.operation

    def get_deployment(self, endpoint: str, name: str) -> Deployment:
        deployment = self.get(endpoint).deployments.get(name)
        if deployment is None:
            raise not_found(f"Deployment {name} of endpoint {endpoint} not found.")
        return deployment

    def put_deployment(self, request: DeploymentRequest) -> None:
        """Create or replace; it gets no traffic. Raises RefusedError."""
        endpoint, name = self.get(request.endpoint), request.name
        if not self._models.exists(request.model_id):
            raise not_found(f"Model {request.model_id} was not found.")
        _check_name("Deployment", name)
        deployment = endpoint.deployments.get(name)
        self._require_deployable(endpoint, name, deployment)
        creating = deployment is None
        if deployment is None:
            deployment = self._create_deployment(endpoint, request)
        deployment.model, deployment.instance_type = request.model_id, request.instance_type
        deployment.instance_count, deployment.tags = request.instance_count, dict(request.tags)
        what = Happening.CREATE_DEPLOYMENT if creating else Happening.UPDATE_DEPLOYMENT
        fate = self._begin(deployment, "Updating", what, f"{endpoint.name}/{name}")

        def up() -> None:
            deployment.serving = True
            _succeed(deployment)

        self._settle(deployment, fate, f"deployment {name}", up, lambda: self._fail(deployment, fate))

    def delete_deployment(self, endpoint_name: str, name: str) -> str:
        """The operation's id, empty if it is not there. Raises RefusedError, also for one with traffic."""
        endpoint = self.find(endpoint_name)
        deployment = endpoint.deployments.get(name) if endpoint else None
        if endpoint is None or deployment is None:
            return ""
        if share := endpoint.traffic.get(name):
            reason = f"Specified deployment [{name}] has traffic of {share} percent. Set it to 0 before deleting it."
            raise bad_request(reason)
        self._require_idle(endpoint)
        fate = self._begin(deployment, "Deleting", Happening.DELETE_DEPLOYMENT, f"{endpoint_name}/{name}")
        self._settle(
            deployment,
            fate,
            f"deletion of deployment {name}",
            lambda: self._bury(endpoint, deployment),
            lambda: self._fail(deployment, fate),
        )
        return deployment.operation

    def _create(self, name: str, description: str, tags: Mapping[str, str]) -> None:
        now = self._world.now()
        endpoint = Endpoint(
            name=name,
            description=description,
            tags=dict(tags),
            traffic={},
            key=f"key-{next(self._numbers)}-of-{name}",
            created_at=now,
            modified_at=now,
        )
        self.all[name] = endpoint
        self.lifetimes.append(Lifetime("endpoint", name, name, "", 0, dict(tags), now))
        fate = self._begin(endpoint, "Creating", Happening.CREATE_ENDPOINT, name)
        what = f"creation of endpoint {name}"
        self._settle(endpoint, fate, what, lambda: _succeed(endpoint), lambda: self._fail(endpoint, fate))

    def _create_deployment(self, endpoint: Endpoint, request: DeploymentRequest) -> Deployment:
        now = self._world.now()
        deployment = Deployment(
            endpoint.name,
            request.name,
            request.model_id,
            request.instance_type,
            request.instance_count,
            dict(request.tags),
            now,
        )
        endpoint.deployments[request.name] = deployment
        self.lifetimes.append(
            Lifetime(
                "deployment",
                endpoint.name,
                request.name,
                request.instance_type,
                request.instance_count,
                dict(request.tags),
                now,
            )
        )
        return deployment

    def _begin(self, resource: Endpoint | Deployment, state: str, what: Happening, of: str) -> Fate:
        resource.state = state
        resource.operation = f"operation-{next(self._numbers)}"
        return self._world.draw(what, of)

    def _settle(
        self,
        resource: Endpoint | Deployment,
        fate: Fate,
        what: str,
        succeed: Callable[[], None],
        fail: Callable[[], None],
    ) -> None:
        """Unless another operation was begun on it meanwhile, or it is gone."""
        operation = resource.operation

        def still(happen: Callable[[], None]) -> Callable[[], None]:
            return lambda: happen() if resource.operation == operation else None

        def done() -> None:
            succeed()
            self.ended[operation] = self._world.now()

        settle(self._world, fate, what, succeed=still(done), fail=still(fail))

    def _fail(self, resource: Endpoint | Deployment, fate: Fate) -> None:
        resource.state = "Failed"
        self.errors[resource.operation] = ": ".join(text for text in (fate.code, fate.reason) if text)

    def _bury(self, endpoint: Endpoint, deployment: Deployment) -> None:
        del endpoint.deployments[deployment.name]
        endpoint.traffic.pop(deployment.name, None)
        self._close("deployment", endpoint.name, deployment.name)

    def _close(self, kind: str, endpoint: str, name: str) -> None:
        for lifetime in self.lifetimes:
            if (lifetime.kind, lifetime.endpoint, lifetime.name, lifetime.ended) == (kind, endpoint, name, None):
                lifetime.ended = self._world.now()

    def _require_deployable(self, endpoint: Endpoint, name: str, existing: Deployment | None) -> None:
        if endpoint.state in ("Failed", "Canceled", "Deleting"):
            raise bad_request(
                "This endpoint has not been created successfully or is in deleting provisioning state. "
                "Please recreate endpoint and then try again to create deployment."
            )
        self._require_idle(endpoint)
        if existing is None and len(endpoint.deployments) >= MAX_DEPLOYMENTS:
            raise bad_request(f"Endpoint [{endpoint.name}] has reached its limit of {MAX_DEPLOYMENTS} deployments.")
        if existing is not None and not existing.serving and existing.state in ("Failed", "Canceled"):
            raise bad_request(
                f"Specified deployment [{name}] failed during initial provisioning and is in an unrecoverable state. "
                "Delete and re-create."
            )

    def _require_idle(self, endpoint: Endpoint) -> None:
        states = [endpoint.state, *(deployment.state for deployment in endpoint.deployments.values())]
        for state in states:
            if state not in STABLE:
                raise busy(f"There is already an ongoing operation on endpoint {endpoint.name}.")


def _succeed(resource: Endpoint | Deployment) -> None:
    resource.state = "Succeeded"


def _check_name(kind: str, name: str) -> None:
    if not 3 <= len(name) <= 32 or not _NAME.fullmatch(name):
        raise invalid(f"{kind} name '{name}' is invalid.")


def _check_traffic(traffic: Mapping[str, int], known: set[str]) -> None:
    if unknown := sorted(set(traffic) - known):
        raise bad_request(f"Traffic names deployments that do not exist: {', '.join(unknown)}.", "Traffic")
    if any(not 0 <= share <= 100 for share in traffic.values()):
        raise bad_request("Traffic percentages are integers from 0 to 100.", "Traffic")
    if sum(traffic.values()) not in (0, 100):
        raise bad_request(f"Traffic percentages must sum to 0 or 100, not to {sum(traffic.values())}.", "Traffic")
