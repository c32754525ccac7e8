"""The system topics of the subscription and what is subscribed to them, as Resource Manager lists them: read only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localcloud.config import LOCATION, RESOURCE_GROUP, SUBSCRIPTION_ID
from localcloud.http import MANAGEMENT, ArmRoute, CloudError, with_token
from localcloud.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from localcloud.config import CloudConfig, EventSubscription
    from localcloud.eventgrid.handshake import Validation

    Validations = Callable[[], list[tuple[EventSubscription, Validation]]]

_TYPE = "Microsoft.EventGrid/systemTopics"
_BY_SUBSCRIPTION = "/subscriptions/{subscription}/providers/" + _TYPE
_BY_GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + _TYPE
_TOPIC_TYPES = {
    "microsoft.storage/storageaccounts": "Microsoft.Storage.StorageAccounts",
    "microsoft.machinelearningservices/workspaces": "Microsoft.MachineLearningServices.Workspaces",
}


def routes(config: CloudConfig, validations: Validations) -> list[Route]:
    """`validations` gives every event subscription; a resource that has one has a system topic."""
    audiences = {MANAGEMENT, config.azure_url}

    async def topics(_: Request) -> Response:
        return JSONResponse({"value": [_topic(source) for source in _sources(validations)]})

    async def subscriptions(request: Request) -> Response:
        name = request.path_params["topic"]
        source = next((source for source in _sources(validations) if _name(source) == name.lower()), None)
        if source is None:
            raise CloudError(404, "ResourceNotFound", f"The Resource '{_TYPE}/{name}' was not found.")
        found = [each for each in validations() if each[0].topic == source]
        return JSONResponse({"value": [_subscription(source, *each) for each in found]})

    return [
        ArmRoute(_BY_SUBSCRIPTION, with_token(topics, audiences), ["GET"]),
        ArmRoute(_BY_GROUP + "/{topic}/eventSubscriptions", with_token(subscriptions, audiences), ["GET"]),
    ]


def _sources(validations: Validations) -> list[str]:
    """Custom topics are called by a name, not by a resource's id."""
    return list(dict.fromkeys(each.topic for each, _ in validations() if each.topic.startswith("/")))


def _name(source: str) -> str:
    return f"{source.rpartition('/')[2]}-events".lower()


def _id(source: str) -> str:
    return f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{RESOURCE_GROUP}/providers/{_TYPE}/{_name(source)}"


def _topic(source: str) -> dict[str, Any]:
    kind = "/".join(source.split("/providers/")[1].split("/")[:2])
    return {
        "id": _id(source),
        "name": _name(source),
        "type": _TYPE,
        "location": LOCATION,
        "properties": {
            "source": source,
            "topicType": _TOPIC_TYPES[kind.lower()],
            "provisioningState": "Succeeded",
        },
    }


def _subscription(source: str, subscription: EventSubscription, validation: Validation) -> dict[str, Any]:
    """Without the endpoint's query, in which its key is: Azure gives that by getFullUrl only."""
    return {
        "id": f"{_id(source)}/eventSubscriptions/{subscription.name}",
        "name": subscription.name,
        "type": f"{_TYPE}/eventSubscriptions",
        "properties": {
            "topic": source,
            "provisioningState": validation.state,
            "destination": {
                "endpointType": "WebHook",
                "properties": {"endpointBaseUrl": subscription.endpoint.partition("?")[0]},
            },
            "filter": {
                "includedEventTypes": list(subscription.event_types),
                "subjectBeginsWith": subscription.subject_begins_with,
                "subjectEndsWith": subscription.subject_ends_with,
            },
            "eventDeliverySchema": subscription.schema,
        },
    }
