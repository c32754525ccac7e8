"""Queue trigger: a version of a dataset was quiet for a while; validate it and plan its tuning."""

import azure.functions as func

from shared.config import STORAGE_CONNECTION
from shared.names import DATASET_SETTLED_QUEUE

blueprint = func.Blueprint()


@blueprint.function_name("dataset_settled")
@blueprint.queue_trigger(arg_name="message", queue_name=DATASET_SETTLED_QUEUE, connection=STORAGE_CONNECTION)
def dataset_settled(message: func.QueueMessage) -> None:
    from shared.lifecycle.queues import parse_version_message
    from shared.services import services

    services().intake.version_settled(parse_version_message(message.get_body()))
