"""Queue triggers: messages that the host gave up after failing tries. What they name is woken, failed, or kept."""

import azure.functions as func

from shared.config import STORAGE_CONNECTION
from shared.names import (
    BLOB_TRIGGER_QUEUE,
    DATASET_SETTLED_QUEUE,
    DEPLOYMENT_PROGRESS_QUEUE,
    SMOKE_TEST_QUEUE,
    poison_queue,
)

blueprint = func.Blueprint()


@blueprint.function_name("dataset_uploaded_poison")
@blueprint.queue_trigger(arg_name="message", queue_name=poison_queue(BLOB_TRIGGER_QUEUE), connection=STORAGE_CONNECTION)
def dataset_uploaded_poison(message: func.QueueMessage) -> None:
    _received(BLOB_TRIGGER_QUEUE, message)


@blueprint.function_name("dataset_settled_poison")
@blueprint.queue_trigger(
    arg_name="message", queue_name=poison_queue(DATASET_SETTLED_QUEUE), connection=STORAGE_CONNECTION
)
def dataset_settled_poison(message: func.QueueMessage) -> None:
    _received(DATASET_SETTLED_QUEUE, message)


@blueprint.function_name("deployment_progress_poison")
@blueprint.queue_trigger(
    arg_name="message", queue_name=poison_queue(DEPLOYMENT_PROGRESS_QUEUE), connection=STORAGE_CONNECTION
)
def deployment_progress_poison(message: func.QueueMessage) -> None:
    _received(DEPLOYMENT_PROGRESS_QUEUE, message)


@blueprint.function_name("smoke_test_poison")
@blueprint.queue_trigger(arg_name="message", queue_name=poison_queue(SMOKE_TEST_QUEUE), connection=STORAGE_CONNECTION)
def smoke_test_poison(message: func.QueueMessage) -> None:
    _received(SMOKE_TEST_QUEUE, message)


def _received(queue: str, message: func.QueueMessage) -> None:
    from shared.services import services

    services().poison_messages.received(queue, message.get_body())
