"""Queue trigger: look at a tuning and do the one next thing about it."""

import azure.functions as func

from shared.config import STORAGE_CONNECTION
from shared.names import DEPLOYMENT_PROGRESS_QUEUE

blueprint = func.Blueprint()


@blueprint.function_name("deployment_progress")
@blueprint.queue_trigger(arg_name="message", queue_name=DEPLOYMENT_PROGRESS_QUEUE, connection=STORAGE_CONNECTION)
def deployment_progress(message: func.QueueMessage) -> None:
    from shared.lifecycle.queues import parse_tuning_message
    from shared.services import services

    wake_up = parse_tuning_message(message.get_body())
    services().lifecycle.advance(wake_up.tuning_id, wake_up.due, wake_up.traceparent)
