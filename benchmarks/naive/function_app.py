"""The same triggers as droptune's, written as most samples are: every SDK is imported where the file begins.

Measured by `benchmarks.coldstart`, never deployed.
"""

import os

import azure.functions as func
import pandas as pd
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobServiceClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def ml_client() -> MLClient:
    return MLClient(
        DefaultAzureCredential(),
        os.environ["AZURE_SUBSCRIPTION_ID"],
        os.environ["AZURE_RESOURCE_GROUP"],
        os.environ["AZUREML_WORKSPACE"],
    )


@app.function_name("dataset_uploaded")
@app.blob_trigger(arg_name="blob", path="datasets/{name}", connection="STORAGE", source=func.BlobSource.EVENT_GRID)
def dataset_uploaded(blob: func.InputStream) -> None:
    rows = pd.read_json(blob, lines=True)
    if "messages" not in rows:
        raise ValueError("there are no messages")


@app.function_name("job_completed")
@app.event_grid_trigger(arg_name="event")
def job_completed(event: func.EventGridEvent) -> None:
    ml_client().jobs.get(event.get_json()["runId"])


@app.function_name("smoke_test")
@app.queue_trigger(arg_name="message", queue_name="smoke-test", connection="STORAGE")
def smoke_test(message: func.QueueMessage) -> None:
    with BlobServiceClient(os.environ["STORAGE__blobServiceUri"], DefaultAzureCredential()) as service:
        service.get_blob_client("datasets", message.get_body().decode()).download_blob().readall()


@app.function_name("idle_cleanup")
@app.timer_trigger(arg_name="timer", schedule="0 */15 * * * *")
def idle_cleanup(timer: func.TimerRequest) -> None:
    for endpoint in ml_client().online_endpoints.list():
        ml_client().online_endpoints.begin_delete(endpoint.name).result()


@app.function_name("list_tunings")
@app.route(route="tunings", methods=["GET"])
def list_tunings(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("[]", mimetype="application/json")
