"""The checks of `doctor`: each tries one thing that the app does, and says how to repair what fails."""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cli.app_api import URL, AppApi
from cli.outcome import RefusedError, UnusableError
from shared import names
from shared.datasets.tuning_file import TuningFile
from shared.errors import DroptuneError, PermanentError
from shared.finetuning.plan import plan_tuning
from shared.services import Services

if TYPE_CHECKING:
    from shared.config import Settings

_USAGE_API_VERSION = "2024-01-01-preview"
_EVENT_GRID_API_VERSION = "2022-06-15"
_RESERVE = 1.2
"""Azure keeps a fifth more instances for upgrades:
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas#virtual-machine-quota-allocation-for-deployment
"""
_NO_ROLE = "grant {role} on {scope} to this identity"


class Health(StrEnum):
    GOOD = "ok"
    BAD = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """`repair` is empty where nothing is to be done."""

    check: str
    health: Health
    found: str
    repair: str = ""


@dataclass(frozen=True)
class _Checkup:
    name: str
    look: Callable[[], str]
    """Returns what was found; raises for what is wrong."""
    repair: str


class _NotKnownError(Exception):
    """The check can not tell here."""


def examine(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """One finding after the other, in the order in which they build on one another; never raises."""
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what its libraries would log is what is found
    services = Services(settings)
    yield _dry_run(settings)
    somebody = True
    for checkup in _checkups(settings, services, environment):
        if not somebody and checkup.name != "app":
            yield Finding(checkup.name, Health.UNKNOWN, "not tried: there is no identity")
            continue
        finding = _tried(checkup)
        somebody = somebody and not (checkup.name == "identity" and finding.health is Health.BAD)
        yield finding


def _tried(checkup: _Checkup) -> Finding:
    try:
        return Finding(checkup.name, Health.GOOD, checkup.look())
    except _NotKnownError as unknown:
        return Finding(checkup.name, Health.UNKNOWN, str(unknown))
    except PermanentError as error:
        return Finding(checkup.name, Health.BAD, f"{error.code}: {error.message}"[:300], checkup.repair)
    except (DroptuneError, RefusedError, UnusableError) as error:
        return Finding(checkup.name, Health.BAD, str(error)[:300], checkup.repair)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises is what was found
        return Finding(
            checkup.name, Health.BAD, f"{type(error).__name__}: {str(error).splitlines()[0]}"[:300], checkup.repair
        )


def _checkups(settings: Settings, services: Services, environment: Mapping[str, str]) -> Iterator[_Checkup]:
    storage, workspace = "the storage account", "the workspace"
    account = _account(settings.storage_blob_uri)
    yield _Checkup("identity", lambda: _token(services, settings), "log in (az login), or set AZURE_CLIENT_ID")
    yield _Checkup(
        "blobs",
        lambda: _blobs(services),
        _NO_ROLE.format(role="Storage Blob Data Contributor", scope=storage) + "; create the containers",
    )
    yield _Checkup(
        "queues",
        lambda: _queues(services),
        _NO_ROLE.format(role="Storage Queue Data Contributor", scope=storage) + "; create the queues",
    )
    yield _Checkup(
        "tables",
        lambda: _tables(services),
        _NO_ROLE.format(role="Storage Table Data Contributor", scope=storage) + "; create the tables",
    )
    yield _Checkup(
        "workspace",
        lambda: f"{len(services._arm.list_endpoints())} online endpoints in {settings.azureml_workspace}",
        _NO_ROLE.format(role="AzureML Data Scientist", scope=workspace) + "; check AZUREML_WORKSPACE",
    )
    yield _Checkup(
        "metrics",
        lambda: _metrics(services),
        _NO_ROLE.format(role="Monitoring Reader", scope=workspace) + "; without metrics no endpoint is ever deleted",
    )
    yield _Checkup(
        "model",
        lambda: _model(settings, services),
        "set BASE_MODEL (and VM sizes that it allows) to a model that can be fine-tuned for chat completion",
    )
    yield _Checkup(
        "quota",
        lambda: _quota(settings, services),
        f"ask for more cores of the family in {settings.azure_location}, or set another INFERENCE_INSTANCE_TYPE",
    )
    yield _Checkup(
        "blob events",
        lambda: _events(services, f"/storageaccounts/{account}", "Microsoft.Storage.BlobCreated"),
        "run the step after deployment once more (docs/deploy.md): without events `reconcile` finds uploads late",
    )
    yield _Checkup(
        "job events",
        lambda: _events(services, settings.workspace_id, "Microsoft.MachineLearningServices.RunCompleted"),
        "run the step after deployment once more (docs/deploy.md): without events jobs are looked at now and then",
    )
    if environment.get(URL):
        yield _Checkup("app", lambda: _app(environment), f"check {URL}, and that the function app runs")


def _dry_run(settings: Settings) -> Finding:
    if not settings.idle_dry_run:
        return Finding("settings", Health.GOOD, "complete; the idle sweep deletes what is idle")
    found = "complete; IDLE_DRY_RUN is on, so idle endpoints are reported and never deleted"
    return Finding("settings", Health.UNKNOWN, found, "set IDLE_DRY_RUN=false once the reports look right")


def _token(services: Services, settings: Settings) -> str:
    services._credential.get_token(f"{settings.arm_endpoint.rstrip('/')}/.default")
    return f"a token for {settings.arm_endpoint}"


def _blobs(services: Services) -> str:
    """Lists where uploads come, writes and deletes where snapshots go."""
    from azure.storage.blob import ContainerClient

    service = services._blobs._service
    next(iter(service.get_container_client(names.DATASETS).list_blobs(results_per_page=1)), None)
    probe = f"doctor-{uuid.uuid4()}"
    for container in (names.TUNINGS, names.REPORTS):
        client: ContainerClient = service.get_container_client(container)
        client.upload_blob(probe, b"")
        client.delete_blob(probe)
    return f"{', '.join(names.CONTAINERS)} can be read and written"


def _queues(services: Services) -> str:
    for queue in names.QUEUES:
        services._wake_ups._service.get_queue_client(queue).get_queue_properties()
    return ", ".join(names.QUEUES)


def _tables(services: Services) -> str:
    for table in names.TABLES:
        client = services._ledger._service.get_table_client(table)
        next(iter(client.list_entities(results_per_page=1)), None)
    return ", ".join(names.TABLES)


def _metrics(services: Services) -> str:
    from shared.clock import utc_now
    from shared.idle.series import Unavailable, floor_minute

    endpoints = services._arm.list_endpoints()
    if not endpoints:
        raise _NotKnownError("there is no endpoint yet whose metrics could be asked for")
    now = floor_minute(utc_now())
    start = now.replace(hour=0, minute=0) if now.hour else now.replace(minute=0)
    found = services._metrics.requests_per_minute([endpoints[0].id], start, now)[endpoints[0].id]
    if isinstance(found, Unavailable):
        raise PermanentError("NoMetrics", found.reason)
    return f"requests per minute of {endpoints[0].name}"


def _model(settings: Settings, services: Services) -> str:
    plan = plan_tuning(settings, services._sdk, "doctor", TuningFile())
    return f"{plan.base_model.name} version {plan.base_model.version} can be fine-tuned"


def _quota(settings: Settings, services: Services) -> str:
    """Of the family of the deployments' VM size; Azure tells families and limits in two lists."""
    location = f"providers/Microsoft.MachineLearningServices/locations/{settings.azure_location}"
    wanted = settings.inference_instance_type
    sizes = _listed(services, f"{location}/vmSizes", _USAGE_API_VERSION)
    size = next((item for item in sizes if str(item.get("name")).lower() == wanted.lower()), None)
    if size is None:
        raise PermanentError("UnknownVMSize", f"{wanted} is not offered in {settings.azure_location}")
    usages = _listed(services, f"{location}/usages", _USAGE_API_VERSION)
    usage = next((item for item in usages if _is_family(item, str(size["family"]))), None)
    if usage is None:
        raise _NotKnownError(f"Azure tells no limit of the family {size['family']}")
    free = int(usage["limit"]) - int(usage["currentValue"])
    needed = math.ceil(round(settings.inference_instance_count * _RESERVE, 6)) * int(size["vCPUs"])
    found = f"{free} of {usage['limit']} cores of {size['family']} are free; a deployment takes up to {needed}"
    if free < needed:
        raise PermanentError("OutOfQuota", found)
    return found


def _listed(services: Services, path: str, api_version: str) -> list[Mapping[str, Any]]:
    """Whatever Resource Manager lists below the subscription, or below a resource, of which `path` is the id."""
    settings, arm = services.settings, services._arm
    scope = path if path.startswith("/") else f"/subscriptions/{settings.azure_subscription_id}/{path}"
    return list(arm._pages(f"{arm._base}{scope}?api-version={api_version}", f"list {path}"))


def _is_family(usage: Mapping[str, Any], family: str) -> bool:
    name = usage.get("name") or {}
    return str(name.get("value", "")).lower() == family.lower() and "dedicatedCores" in str(usage.get("type", ""))


def _events(services: Services, source: str, event_type: str) -> str:
    """A subscription of a system topic of `source` (the end of its id) that takes the event."""
    topics = _listed(services, "providers/Microsoft.EventGrid/systemTopics", _EVENT_GRID_API_VERSION)
    for topic in topics:
        if not str(topic["properties"].get("source", "")).lower().endswith(source.lower()):
            continue
        for item in _listed(services, f"{topic['id']}/eventSubscriptions", _EVENT_GRID_API_VERSION):
            properties = item["properties"]
            if event_type in (properties.get("filter", {}).get("includedEventTypes") or [event_type]):
                if properties.get("provisioningState") != "Succeeded":
                    raise PermanentError("NotSubscribed", f"{item['name']} is {properties.get('provisioningState')}")
                return f"{item['name']} takes {event_type}"
    raise PermanentError("NotSubscribed", f"nothing is subscribed to {event_type}")


def _account(blob_uri: str) -> str:
    """The account's name: the first label of Azure's hosts, the path of an emulator's."""
    rest = blob_uri.partition("://")[2].rstrip("/")
    host, _, path = rest.partition("/")
    return path or host.split(".")[0]


def _app(environment: Mapping[str, str]) -> str:
    api = AppApi.from_environment(environment)
    api.get("tunings", limit="1")
    return f"{api.url} answers"
