"""What the processes of one local cloud agree on: written by the stack, read by the servers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SUBSCRIPTION_ID = "11111111-2222-3333-4444-555555555555"
RESOURCE_GROUP = "localcloud"
WORKSPACE = "local-workspace"
LOCATION = "eastus"
TENANT_ID = "99999999-8888-7777-6666-555555555555"
STORAGE_ACCOUNT = "devstoreaccount1"
REGISTRY = "azureml"

WORKSPACE_ID = (
    f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.MachineLearningServices/workspaces/{WORKSPACE}"
)
STORAGE_ACCOUNT_ID = (
    f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}"
    f"/providers/Microsoft.Storage/storageAccounts/{STORAGE_ACCOUNT}"
)


@dataclass(frozen=True)
class Ports:
    """TCP ports on 127.0.0.1. `azure` and the three storage ports speak HTTPS, `identity` and `functions` HTTP."""

    azure: int
    identity: int
    blob: int
    queue: int
    table: int
    functions: int


@dataclass(frozen=True)
class RegistryModel:
    """A model that the local registry offers.

    `path` is a folder in Hugging Face or MLflow layout; when it does not exist yet, it is built from
    configuration on first use (localcloud.base_model).
    """

    name: str
    version: str
    path: str
    tags: dict[str, str]


@dataclass(frozen=True)
class AdvancedFilter:
    """`operator` and `values` as in ARM, where `values` is always a list here, also for operators of one value.

    The values of NumberInRange and NumberNotInRange are pairs.
    """

    operator: str
    key: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class EventSubscription:
    """An Event Grid subscription. Azure's limits apply (localcloud.eventgrid.subscriptions).

    `topic` is an ARM resource id (of the storage account or the workspace) or the name of a custom topic.
    `schema` is "EventGridSchema" or "CloudEventSchemaV1_0". Events that can not be delivered are dropped
    unless there is a `dead_letter_container`, which must exist, in the storage account.
    """

    name: str
    topic: str
    endpoint: str
    event_types: tuple[str, ...] = ()
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    schema: str = "EventGridSchema"
    is_subject_case_sensitive: bool = False
    advanced_filters: tuple[AdvancedFilter, ...] = ()
    filters_on_arrays: bool = False
    """enableAdvancedFilteringOnArrays"""
    max_events_per_batch: int = 1
    preferred_batch_kilobytes: int = 64
    max_delivery_attempts: int = 30
    event_ttl_minutes: int = 1440
    dead_letter_container: str = ""

    @staticmethod
    def of(raw: Mapping[str, Any]) -> EventSubscription:
        """From JSON, in which tuples are lists. Raises TypeError for what it does not know."""
        filters = tuple(AdvancedFilter(**{**f, "values": tuple(f["values"])}) for f in raw["advanced_filters"])
        return EventSubscription(
            **{**raw, "event_types": tuple(raw["event_types"]), "advanced_filters": filters},
        )


@dataclass(frozen=True)
class Durations:
    """Seconds that the long-running operations of the emulated cloud take. 0 is "done at the first look"."""

    endpoint_create: float = 2.0
    endpoint_update: float = 1.0
    endpoint_delete: float = 2.0
    deployment_create: float = 5.0
    deployment_delete: float = 2.0
    job_queue: float = 1.0
    endpoint_name_reuse: float = 10.0
    """How long the name of a deleted endpoint answers NotFound to who wants it again."""

    def scaled(self, factor: float) -> Durations:
        return Durations(**{name: seconds * factor for name, seconds in asdict(self).items()})


PRICES = {
    "Standard_NC24ads_A100_v4": 3.673,
    "Standard_NC48ads_A100_v4": 7.346,
    "Standard_NC96ads_A100_v4": 14.692,
    "Standard_ND96asr_v4": 27.197,
    "Standard_ND96amsr_A100_v4": 32.77,
    "Standard_NC6s_v3": 3.06,
    "Standard_NC12s_v3": 6.12,
    "Standard_NC24s_v3": 12.24,
    "Standard_NC24rs_v3": 13.464,
    "Standard_ND40rs_v2": 22.032,
    "Standard_NC4as_T4_v3": 0.526,
    "Standard_NC8as_T4_v3": 0.752,
    "Standard_NC16as_T4_v3": 1.204,
    "Standard_NC64as_T4_v3": 4.352,
    "Standard_D12_v2": 0.37,
    "Standard_DS2_v2": 0.146,
    "Standard_DS3_v2": 0.293,
    "Standard_DS4_v2": 0.585,
    "Standard_F2s_v2": 0.085,
    "Standard_F4s_v2": 0.169,
}
"""Dollars per instance and hour: the price list of this cloud and what it charges. Made up, of the size of what such
machines cost, and nobody's offer: who compares the simulated cost with a bill configures the prices of that bill.
"""


@dataclass(frozen=True)
class RegistryComponent:
    """A component of the local registry whose work is done by a program of yours.

    `command` is called with `--job FILE` added; the file and what the program prints are described in
    localcloud.azureml.executor. `inputs` and `outputs` are written as in chat_completion_pipeline.json beside
    that module; None takes those of the built-in component of the same name, whose version it then replaces.
    """

    name: str
    version: str
    command: tuple[str, ...]
    inputs: dict[str, dict[str, Any]] | None = None
    outputs: dict[str, dict[str, str]] | None = None


@dataclass(frozen=True)
class Scoring:
    """Deployments are resources; a process answers for one when it is called.

    `processes`: how many live at a time before the least recently used one ends, if none of them is at work.
    `idle_seconds`: one that was not called for so long ends.
    """

    processes: int = 8
    idle_seconds: float = 900.0


@dataclass(frozen=True)
class Compute:
    """A compute cluster of the workspace. `serverless` is always there and need not be named."""

    name: str
    vm_size: str = "STANDARD_NC24ADS_A100_V4"
    max_nodes: int = 4


@dataclass(frozen=True)
class Limits:
    """What the subscription allows, who may do what, and what fails. Can be changed while the cloud runs.

    The defaults are Azure's (https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas), where the
    documentation names one; nothing else is limited until it is named here.
    """

    endpoints: int = 100
    deployments_per_endpoint: int = 20
    cores: Mapping[str, int] = field(default_factory=dict)
    """Quota by SKU family."""
    quota_refusal: str = "operation"
    """The service has been seen to refuse for want of quota in either way: the accepted `operation` fails
    (OutOfQuota), or the `request` is answered with 400."""
    taken_endpoint_names: tuple[str, ...] = ()
    """Names that somebody else in the region has."""
    archived_models: tuple[str, ...] = ()
    """Of the registry, as `name:version`."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """What fails to come up: regular expression over `endpoint` or `endpoint/deployment` → kind of failure
    (localcloud.azureml.failures)."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a principal (object id or client id): names of roles, or actions. Who is not named may do everything."""
    requests: int | None = None
    """Control-plane requests that a principal may send in `request_seconds`."""
    request_seconds: float = 60.0
    retry_after: bool = False
    """Throttle as Azure Resource Manager does, with Retry-After, and not as Azure ML, without."""

    @staticmethod
    def parse(raw: Mapping[str, Any]) -> Limits:
        """From JSON. Raises TypeError for a limit that does not exist."""
        tuples = {name: tuple(raw[name]) for name in ("taken_endpoint_names", "archived_models") if name in raw}
        roles = {principal: tuple(roles) for principal, roles in dict(raw.get("roles", {})).items()}
        return Limits(**{**raw, **tuples, "roles": roles})


@dataclass(frozen=True)
class CloudConfig:
    state_dir: str
    ports: Ports
    identity_header: str
    models: tuple[RegistryModel, ...]
    event_subscriptions: tuple[EventSubscription, ...] = ()
    custom_topics: tuple[str, ...] = ()
    durations: Durations = field(default_factory=Durations)
    limits: Limits = field(default_factory=Limits)
    computes: tuple[Compute, ...] = (Compute("gpu-cluster"),)
    poll_seconds: int | None = None
    """Retry-After of an unfinished operation's status, which the real service does not send: without it,
    azure-ai-ml looks again after 30 s (endpoints) or 5 s (deployments), however short the durations are."""
    event_grid_enabled: bool = True
    """False loses every event, as an Event Grid outage would."""
    event_retry_scale: float = 1.0
    """Factor on Event Grid's times: retries (10 s, 30 s, 1 min ...), time to live, probation, the five minutes
    before a dead letter is written and in which a validationUrl is good."""
    event_acknowledge_seconds: float = 30.0
    """How long Event Grid waits for the answer of an endpoint. Not scaled: the endpoint's work is real."""
    event_seed: int | None = None
    """Of the randomness in the retry schedule, and of which events get lost when some do."""
    components: tuple[RegistryComponent, ...] = ()
    scoring: Scoring = field(default_factory=Scoring)
    prices: dict[str, float] = field(default_factory=lambda: dict(PRICES))
    """Per instance and hour, by instance type."""
    fast_training: bool = False
    """Jobs train for one step only, so that tests of the control plane need not wait for a good model."""

    @property
    def azure_url(self) -> str:
        return f"https://127.0.0.1:{self.ports.azure}"

    @property
    def identity_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.identity}/msi/token"

    @property
    def blob_url(self) -> str:
        return f"https://127.0.0.1:{self.ports.blob}/{STORAGE_ACCOUNT}"

    @property
    def queue_url(self) -> str:
        return f"https://127.0.0.1:{self.ports.queue}/{STORAGE_ACCOUNT}"

    @property
    def table_url(self) -> str:
        return f"https://127.0.0.1:{self.ports.table}/{STORAGE_ACCOUNT}"

    @property
    def functions_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.functions}"

    @property
    def ca_file(self) -> Path:
        return Path(self.state_dir, "certs", "ca.pem")

    @property
    def server_cert(self) -> Path:
        return Path(self.state_dir, "certs", "server.pem")

    @property
    def server_key(self) -> Path:
        return Path(self.state_dir, "certs", "server.key")

    @property
    def azurite_log(self) -> Path:
        """Azurite's access log, for people."""
        return Path(self.state_dir, "azurite.log")

    @property
    def storage_journal(self) -> Path:
        """The folder in which Azurite notes every blob that was created or deleted: the source of storage events."""
        return Path(self.state_dir, "storage-journal")

    @property
    def file(self) -> Path:
        return Path(self.state_dir, "cloud.json")

    def save(self) -> None:
        self.file.write_text(json.dumps(asdict(self), indent=1))

    @staticmethod
    def load(file: Path) -> CloudConfig:
        raw = json.loads(file.read_text())
        return CloudConfig(
            **{
                **raw,
                "ports": Ports(**raw["ports"]),
                "models": tuple(RegistryModel(**m) for m in raw["models"]),
                "event_subscriptions": tuple(map(EventSubscription.of, raw["event_subscriptions"])),
                "custom_topics": tuple(raw["custom_topics"]),
                "durations": Durations(**raw["durations"]),
                "components": tuple(
                    RegistryComponent(**{**c, "command": tuple(c["command"])}) for c in raw["components"]
                ),
                "scoring": Scoring(**raw["scoring"]),
                "limits": Limits.parse(raw["limits"]),
                "computes": tuple(Compute(**c) for c in raw["computes"]),
            }
        )
