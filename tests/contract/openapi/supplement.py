"""What the documents lack, though the SDK calls it and a written contract or a near api-version says how it answers."""

from __future__ import annotations

from typing import Any

_COMMON = "specification/common-types/resource-management/v3/types.json"
_LOCATION = "/subscriptions/{subscriptionId}/providers/Microsoft.MachineLearningServices/locations/{location}"
_ERROR = {"description": "Error", "schema": {"$ref": f"{_COMMON}#/definitions/ErrorResponse"}}
_PARAMETERS = [
    {"$ref": f"{_COMMON}#/parameters/SubscriptionIdParameter"},
    {"$ref": f"{_COMMON}#/parameters/ApiVersionParameter"},
]

MANAGEMENT_FRONT_END = "/mferp/managementfrontend"
"""The registry's own address of the front end that Resource Manager otherwise routes to: same paths behind it."""

STAND_INS = {
    "2024-10-01-preview": "2024-01-01-preview",  # workspaces.get: the nearest version that there is a document of
    "2021-10-01-dataplanepreview": "2023-04-01-preview",  # the registry's assets, as Resource Manager offers them
}
"""api-version that the SDK sends → the one whose documents it is held against."""

SUPPLEMENT: dict[str, dict[str, Any]] = {
    # The URLs of Azure-AsyncOperation and Location. No document of the service has their paths; what they answer is
    # in the contract of Resource Manager:
    # https://github.com/cloud-and-ai-microsoft/resource-provider-contract/blob/master/v1.0/async-api-reference.md
    "asynchronous operations": {
        "paths": {
            _LOCATION + "/mfeOperationsStatus/{operationId}": {
                "get": {
                    "operationId": "AsyncOperations_Status",
                    "parameters": _PARAMETERS,
                    "responses": {
                        "200": {
                            "description": "Its state",
                            "schema": {"$ref": f"{_COMMON}#/definitions/OperationStatusResult"},
                        },
                        "default": _ERROR,
                    },
                }
            },
            _LOCATION + "/mfeOperationResults/{operationId}": {
                "get": {
                    "operationId": "AsyncOperations_Result",
                    "parameters": _PARAMETERS,
                    "responses": {
                        "200": {"description": "It is done"},
                        "202": {"description": "It goes on", "headers": {"Location": {"type": "string"}}},
                        "204": {"description": "It is done, and has no result"},
                        "default": _ERROR,
                    },
                }
            },
        }
    }
}
