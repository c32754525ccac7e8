"""Deterministic names: doing a thing twice finds the first one under the same name.

Azure ML's rules: endpoint and deployment names have 3–32 characters and match
`^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$`, endpoint names are unique per region; asset versions have at most
30 characters; job names are at most 255 of `[a-zA-Z0-9_-]`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from functools import cache

DATASETS = "datasets"
TUNINGS = "tunings"
REPORTS = "reports"
CONTAINERS = (DATASETS, TUNINGS, REPORTS)

DATASET_SETTLED_QUEUE = "dataset-settled"
DEPLOYMENT_PROGRESS_QUEUE = "deployment-progress"
SMOKE_TEST_QUEUE = "smoke-test"
QUEUES = (DATASET_SETTLED_QUEUE, DEPLOYMENT_PROGRESS_QUEUE, SMOKE_TEST_QUEUE)
BLOB_TRIGGER_QUEUE = "webjobs-blobtrigger"
"""Stands for the host's own queue of blob events; only what it gives up has this name, with the suffix."""

TUNINGS_TABLE = "tunings"
VERSIONS_TABLE = "datasetversions"
ENDPOINTS_TABLE = "endpoints"
SLOTS_TABLE = "jobslots"
COSTS_TABLE = "costs"
PRICES_TABLE = "prices"
SESSIONS_TABLE = "dashboardsessions"
USAGE_TABLE = "usage"
TABLES = (
    TUNINGS_TABLE,
    VERSIONS_TABLE,
    ENDPOINTS_TABLE,
    SLOTS_TABLE,
    COSTS_TABLE,
    PRICES_TABLE,
    SESSIONS_TABLE,
    USAGE_TABLE,
)

TAG_OWNER = "droptune"
TAG_TUNING = "droptune-tuning"
TAG_DATASET = "droptune-dataset"
TAG_KEEP = "droptune-keep"
TAG_IDLE_SINCE = "droptune-idle-since"

IDLE_REPORT = "idle/latest"
IDLE_MEMORY = "idle/memory"
"""Reports that are no tuning's: no id has a slash."""

TRAINED_MODEL_OUTPUT = "trained_model"


def poison_queue(queue: str) -> str:
    """Where the Functions host moves a message of a queue whose function failed maxDequeueCount times."""
    return f"{queue}-poison"


def digest(*parts: str | bytes, length: int) -> str:
    """Hex digest over parts that can not run into each other (each is length-prefixed)."""
    hasher = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "big") + raw)
    return hasher.hexdigest()[:length]


def tuning_id(dataset: str, version: str, fingerprint: str) -> str:
    """Also a valid job name: what a version's name has beyond that becomes hyphens; the fingerprint covers both."""
    return re.sub(r"[^a-zA-Z0-9_-]", "-", f"{dataset}-{version}-{fingerprint[:8]}")


def is_tuning_id(text: str) -> bool:
    """Whether it can be one at all: what comes from outside may be no key of a table row."""
    return re.fullmatch(r"[a-zA-Z0-9_-]{1,120}", text, re.ASCII) is not None


def job_name(tuning: str, attempt: int) -> str:
    """`attempt` is 1 but for tunings whose training an operator replayed."""
    return tuning if attempt == 1 else f"{tuning}-try{attempt}"


def tuning_of_job(job: str) -> str:
    """The inverse of job_name."""
    return re.sub(r"-try\d+$", "", job)


def model_name(base_model: str, dataset: str) -> str:
    return re.sub(r"[^a-zA-Z0-9._-]", "-", f"{base_model}-{dataset}")[:255]


def model_version(created_at: datetime, fingerprint: str, attempt: int) -> str:
    """Sorts by age; the fingerprint keeps two of the same second apart."""
    suffix = "" if attempt == 1 else f"-{attempt}"
    return f"{created_at:%Y%m%d%H%M%S}-{fingerprint[:8]}{suffix}"


def endpoint_name(workspace_id: str, dataset: str, generation: int) -> str:
    """An endpoint that was deleted comes back as the next generation: Azure ML forgets names slowly."""
    slug = re.sub(r"[^a-z0-9]+", "-", dataset.lower()).strip("-")
    if not slug[:1].isalpha():
        slug = f"d-{slug}"
    suffix = "" if generation == 1 else f"-g{generation}"
    hash6 = digest(workspace_id.lower(), dataset, length=6)
    return f"{slug[: 32 - 7 - len(suffix)].rstrip('-')}-{hash6}{suffix}"


def generation_of(endpoint: str) -> int:
    """Of a name that endpoint_name made."""
    match = re.search(r"-g(\d{1,9})$", endpoint)
    return int(match[1]) if match else 1


def deployment_name(fingerprint: str, attempt: int) -> str:
    return f"t-{fingerprint[:8]}" + ("" if attempt == 1 else f"-{attempt}")


def uploaded_blob(dataset: str, version: str, file: str) -> str:
    return f"{dataset}/{version}/{file}"


def snapshot_blob(tuning: str, file: str) -> str:
    return f"{tuning}/{file}"


def report_blob(tuning: str) -> str:
    return f"{tuning}.json"


def report_page_blob(tuning: str) -> str:
    return f"{tuning}.html"


@cache
def owner(workspace_id: str) -> str:
    """Value of TAG_OWNER on everything that this workspace's droptune created."""
    return digest(workspace_id.lower(), length=8)
