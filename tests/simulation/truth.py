"""What is so, whatever the app believes: the rows of the ledger and the state of the cloud, read past all faults."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeVar

from shared import names
from shared.config import Settings
from shared.costs.records import CostRecord
from shared.datasets.paths import parse_blob_name
from shared.errors import InvalidDatasetError
from shared.lifecycle.records import DatasetVersion, EndpointRecord
from shared.lifecycle.tuning import Tuning
from tests.simulation.twins.cloud import TwinCloud
from tests.simulation.twins.endpoints import Deployment, Endpoint

Row = TypeVar("Row", Tuning, DatasetVersion, EndpointRecord, CostRecord)


@dataclass(frozen=True)
class Truth:
    cloud: TwinCloud
    settings: Settings

    def tuning(self, tuning_id: str) -> Tuning | None:
        row = self.cloud.tables.get(names.TUNINGS_TABLE, ("tuning", tuning_id))
        return None if row is None else self.cloud.tables.value(row, Tuning)

    def tunings(self) -> list[Tuning]:
        return self._all(names.TUNINGS_TABLE, Tuning)

    def versions(self) -> list[DatasetVersion]:
        return self._all(names.VERSIONS_TABLE, DatasetVersion)

    def records(self) -> list[EndpointRecord]:
        return self._all(names.ENDPOINTS_TABLE, EndpointRecord)

    def record(self, dataset: str) -> EndpointRecord:
        row = self.cloud.tables.get(names.ENDPOINTS_TABLE, ("endpoint", dataset))
        return EndpointRecord(dataset=dataset) if row is None else self.cloud.tables.value(row, EndpointRecord)

    def costs(self) -> list[CostRecord]:
        return self._all(names.COSTS_TABLE, CostRecord)

    def files(self, dataset: str, version: str) -> dict[str, str]:
        """ETags of what lies in a version's folder now, by file name."""
        folder = f"{dataset}/{version}/"
        return {name.removeprefix(folder): blob.etag for name, blob in self.cloud.blobs.all(names.DATASETS, folder)}

    def unnoticed_uploads(self) -> list[str]:
        """Versions whose files in blob storage are not those that the ledger has."""
        known = {(version.dataset, version.version): version.files for version in self.versions()}
        found: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for name, blob in self.cloud.blobs.all(names.DATASETS, ""):
            try:
                file = parse_blob_name(name)
            except InvalidDatasetError:
                continue
            found[file.dataset, file.version][file.name] = blob.etag
        return [
            f"{dataset}/{version}"
            for (dataset, version), files in sorted(found.items())
            if known.get((dataset, version)) != files
        ]

    def our_endpoints(self) -> dict[str, Endpoint]:
        """By name; also those that Azure ML has forgotten for a while."""
        owner = names.owner(self.settings.workspace_id)
        found = sorted(self.cloud.endpoints.all.items())
        return {name: endpoint for name, endpoint in found if endpoint.tags.get(names.TAG_OWNER) == owner}

    def our_deployments(self) -> list[tuple[Endpoint, Deployment]]:
        return [
            (endpoint, deployment)
            for endpoint in self.our_endpoints().values()
            for _, deployment in sorted(endpoint.deployments.items())
        ]

    def _all(self, table: str, kind: type[Row]) -> list[Row]:
        return [self.cloud.tables.value(row, kind) for row in self.cloud.tables.all(table)]
