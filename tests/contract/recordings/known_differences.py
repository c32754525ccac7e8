"""How the local cloud's answers differ from the recorded ones, and why. Everything else must be equal."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Of requests whose method and URL match `request` in recordings that match `recording`; regular expressions."""

    recording: str
    request: str
    message: str
    reason: str

    def explains(self, recording: str, request: str, message: str) -> bool:
        return (
            re.search(self.recording, recording) is not None
            and re.search(self.request, request) is not None
            and re.fullmatch(self.message, message) is not None
        )


_RUN = r"/history/v1\.0/.+/runs/"
_OF_RUN = r"(/value/\d)?"

KNOWN = (
    # The service has changed since it was recorded.
    Known(
        r"create_delete|child_runs",
        r"GET .+/workspaces/[^/]+\?api-version=2022",
        r"/(kind|properties/(EnableSoftwareBillOfMaterials|allowRoleAssignmentOnRG|creationTime|enableDataIsolation"
        r"|enableServiceSideCMKEncryption|ipAllowlist|managedNetwork|networkAcls|serverlessComputeSettings"
        r"|systemDatastoresAuthMode)) is not recorded|/properties/sasGetterUri is missing",
        "recorded in 2022 and 2023; the recording of 2026 has, and has not, just these",
    ),
    Known(
        r"create_delete",
        r"GET .+/mfeOperationsStatus/",
        r"/endTime is not recorded",
        "recorded in 2022; in the recording of 2026 an operation under way has the year 1 as its end",
    ),
    Known(
        r"create_delete",
        r"/onlineEndpoints/[^/]+/deployments/[^/]+\?",
        r"/properties/privateNetworkConnection is missing",
        "in api-version 2022-02-01-preview only, while the SDK uses 2023-04-01-preview for deployments",
    ),
    Known(
        r"create_delete|model_crud",
        r"/models/.+api-version=2022",
        r"(/value/Microsoft\.[^/]+/workspaces/models/versions)?/properties/(provisioningState|stage) is not recorded",
        "since 2023-04-01-preview models have them; the SDK uses 2023-08-01-preview",
    ),
    # What was put in place of what this cloud can not take.
    Known(
        r"create_delete|model_crud",
        r"/models/",
        r"(/value/Microsoft\.[^/]+/workspaces/models/versions)?/properties/jobName is text, not null",
        "the recorded model was uploaded, ours is the output of a job",
    ),
    Known(
        r"create_delete",
        r"PUT .+/models/",
        r"/properties/flavors/\w+ is missing",
        "the service reads them from the uploaded MLmodel file",
    ),
    Known(
        r"e2e_2026",
        r"/onlineEndpoints/",
        r"/properties/authMode is 'Key', not 'AMLToken'",
        "the recorded endpoint has tokens, ours has keys: the local cloud knows nothing else",
    ),
    Known(
        r"pipeline|registry_component",
        r"(PUT|GET) .+/jobs/",
        r"/properties/jobs/\w+ is (missing|not recorded)",
        "the recorded jobs run commands of other people, ours the one node that this cloud can run",
    ),
    Known(
        r"registry_",
        r"GET .+/registries/[^/]+/components/",
        r"/properties/componentSpec/(inputs|outputs)(/\w+)? is (missing|not recorded)"
        r"|/properties/componentSpec/(code|command|environment|resources|tags) is missing"
        r"|/properties/componentSpec/description is not recorded"
        r"|/properties/componentSpec/type is 'pipeline', not 'command'"
        r"|/properties/tags/\w+ is missing|/properties/description is text, not null"
        r"|/name is '[\d.]+', not '[\d.]+'",
        "another component: a pipeline with its own inputs instead of a command",
    ),
    Known(
        r"registry_",
        r"/registrymanagement/",
        r"/registryFqdns/\w+ is (missing|not recorded)",
        "the names are those of regions",
    ),
    Known(
        r"registered_component",
        r"/computes/",
        r"/properties/properties/errors is null, not list",
        "the recorded cluster had had trouble",
    ),
    # What is not emulated, because no client of a fine-tuning automation looks at it.
    Known(
        r"cancel_400",
        r"PUT .+/jobs/",
        r"/properties/properties/.+ is not recorded",
        "the recorded job is of a pipeline component of the workspace, to which the service adds no properties at once",
    ),
    Known(
        r"child_runs|registry_component|throttled",
        r"PUT .+/jobs/",
        r"/properties/status is 'NotStarted', not 'Preparing'",
        "the service may have gone on while it answers: recording pipeline_job_cancel_400 has NotStarted",
    ),
    Known(
        r"child_runs",
        r"GET .+/discovery$",
        r"header access-control-[-a-z]+ is missing",
        "for web pages; those of the local cloud call no service",
    ),
    Known(
        r"child_runs",
        _RUN,
        rf"{_OF_RUN}/properties/azureml\.(isreused|reused\w+) is missing",
        "the recorded run was reused from an earlier job; this cloud runs every job",
    ),
    Known(
        r"child_runs",
        _RUN,
        rf"{_OF_RUN}/(properties/(ContentSnapshotId|_azureml\.ComputeTargetType"
        r"|azureml\.(moduleVersion|moduleid|pipelineComponent))|tags/_aml_system_ComputeTargetStatus) is missing",
        "code snapshots, modules and clusters, which this cloud does not have",
    ),
    Known(
        r"child_runs",
        _RUN,
        rf"{_OF_RUN}/(actionUris/Cancel is missing|cancelUri is null, not URL)",
        "the portal's own way to cancel: not emulated",
    ),
    Known(
        r"child_runs",
        _RUN,
        rf"{_OF_RUN}/(createdBy|lastModifiedBy)/userPuId is null, not text",
        "a person started the recorded job, a managed identity ours",
    ),
    Known(
        r"child_runs",
        _RUN,
        rf"{_OF_RUN}/name is 'chat_completion_\w+', not 'azureml_anonymous'",
        "the name of the component that the step runs",
    ),
)


def explained(recording: str, request: str, message: str) -> Known | None:
    return next((known for known in KNOWN if known.explains(recording, request, message)), None)
