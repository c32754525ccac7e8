"""Event Grid trigger: a run of the workspace changed its status. Takes Event Grid's and CloudEvents' schema."""

import azure.functions as func

blueprint = func.Blueprint()


@blueprint.function_name("job_completed")
@blueprint.event_grid_trigger(arg_name="event")
def job_completed(event: func.EventGridEvent) -> None:
    from shared.lifecycle.job_events import JobEvent
    from shared.services import services

    received: object = event
    if isinstance(received, func.CloudEvent):
        services().job_events.received(JobEvent(received.source, received.type, received.get_json()))
    else:
        services().job_events.received(JobEvent(event.topic, event.event_type, event.get_json()))
