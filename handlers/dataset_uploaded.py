"""Blob trigger: a file arrived in `datasets`."""

import azure.functions as func
from azurefunctions.extensions.bindings.blob import BlobClient

from shared.config import STORAGE_CONNECTION
from shared.names import DATASETS

blueprint = func.Blueprint()


@blueprint.function_name("dataset_uploaded")
@blueprint.blob_trigger(
    arg_name="blob",
    path=f"{DATASETS}/{{name}}",
    connection=STORAGE_CONNECTION,
    source=func.BlobSource.EVENT_GRID,
)
def dataset_uploaded(blob: BlobClient) -> None:
    from shared.services import services

    # The host passes on events of any container that the subscription lets through.
    if blob.container_name == DATASETS:
        services().intake.file_uploaded(blob.blob_name)
