"""Queue trigger: score a sample on a new deployment."""

import azure.functions as func

from shared.config import STORAGE_CONNECTION
from shared.names import SMOKE_TEST_QUEUE

blueprint = func.Blueprint()


@blueprint.function_name("smoke_test")
@blueprint.queue_trigger(arg_name="message", queue_name=SMOKE_TEST_QUEUE, connection=STORAGE_CONNECTION)
def smoke_test(message: func.QueueMessage) -> None:
    from shared.lifecycle.queues import parse_tuning_message
    from shared.services import services

    wake_up = parse_tuning_message(message.get_body())
    services().smoke_stage.run(wake_up.tuning_id, wake_up.due, wake_up.traceparent)
