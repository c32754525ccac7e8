"""What a user of droptune does from outside: upload files, read the app's HTTP functions, call the endpoint."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from azure.storage.blob import BlobServiceClient

from localcloud.stack import LocalCloud
from shared.datasets.paths import FILE_NAMES
from shared.names import DATASETS


@dataclass(frozen=True)
class AppClient:
    cloud: LocalCloud

    def upload(self, folder: Path, dataset: str, version: str) -> list[str]:
        """Upload the splits and the tuning.json of a folder; returns the names of the blobs."""
        connection = self.cloud.storage_connection_string()
        names = []
        with BlobServiceClient.from_connection_string(
            connection, connection_verify=str(self.cloud.config.ca_file)
        ) as service:
            for name in FILE_NAMES:
                file = folder / name
                if not file.exists():
                    continue
                blob = f"{dataset}/{version}/{name}"
                with file.open("rb") as content:
                    service.get_blob_client(DATASETS, blob).upload_blob(content, overwrite=True)
                names.append(blob)
        return names

    def tunings(self, **query: str) -> dict[str, Any]:
        """A page of them: `dataset`, `state`, `limit`, `continuation`."""
        return self._api("GET", "tunings", query)

    def tuning(self, tuning_id: str) -> dict[str, Any]:
        return self._api("GET", f"tunings/{tuning_id}")

    def replay(self, tuning_id: str) -> dict[str, Any]:
        return self._api("POST", f"tunings/{tuning_id}/replay")

    def endpoints(self) -> list[dict[str, Any]]:
        return list(self._api("GET", "endpoints")["endpoints"])

    def sign_in_to_dashboard(self) -> str:
        """The cookie of a new session."""
        answer = self._call("POST", "dashboard/session")
        return answer.headers["set-cookie"].partition(";")[0]

    def job(self, name: str) -> dict[str, Any]:
        """Steps and metrics of a job, as the local cloud's control API tells them."""
        return dict(self._cloud("GET", f"/_localcloud/jobs/{name}").json())

    def resources(self) -> dict[str, Any]:
        return dict(self._cloud("GET", "/_localcloud/resources").json())

    def endpoint_key(self, endpoint: str) -> str:
        """The scoring key, read as an operator with the right to list keys would."""
        from azure.identity import ManagedIdentityCredential

        from localcloud.config import WORKSPACE_ID
        from shared.azureml.arm import ArmClient

        return ArmClient(self.cloud.config.azure_url, WORKSPACE_ID, ManagedIdentityCredential()).endpoint_key(endpoint)

    def ask(self, scoring_uri: str, key: str, question: str) -> str:
        """One question to a live endpoint, as the printed curl does it."""
        answer = httpx.post(
            scoring_uri,
            headers={"Authorization": f"Bearer {key}"},
            json=question_body(question),
            verify=self.trust(),
            timeout=60,
            trust_env=False,
        )
        answer.raise_for_status()
        body = answer.json()
        return str(body["output"] if isinstance(body, dict) else body)

    def score(self, dataset: str, question: Mapping[str, Any], **headers: str) -> httpx.Response:
        """Through the gateway, whatever comes."""
        return httpx.post(
            f"{self.cloud.config.functions_url}/api/score/{dataset}",
            headers={"x-functions-key": self.cloud.function_key(), **headers},
            json=question,
            timeout=240,
            trust_env=False,
        )

    def _api(self, method: str, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return dict(self._call(method, path, query).json())

    def _call(self, method: str, path: str, query: Mapping[str, str] | None = None) -> httpx.Response:
        answer = httpx.request(
            method,
            f"{self.cloud.config.functions_url}/api/{path}",
            params=query,
            headers={"x-functions-key": self.cloud.function_key()},
            timeout=30,
            trust_env=False,
        )
        answer.raise_for_status()
        return answer

    def _cloud(self, method: str, path: str) -> httpx.Response:
        answer = httpx.request(
            method, self.cloud.config.azure_url + path, verify=self.trust(), timeout=30, trust_env=False
        )
        answer.raise_for_status()
        return answer

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.cloud.config.ca_file))


def question_body(question: str) -> dict[str, Any]:
    return {
        "input_data": {
            "input_string": [{"role": "user", "content": question}],
            "parameters": {"temperature": 0.6, "top_p": 0.9, "do_sample": True, "max_new_tokens": 100},
        }
    }


def curl_command(cloud: LocalCloud, scoring_uri: str, key: str, question: str) -> str:
    body = json.dumps(question_body(question)).replace("'", "'\\''")
    return (
        f"curl --cacert {cloud.config.ca_file} {scoring_uri} \\\n"
        f"  -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}'"
    )
