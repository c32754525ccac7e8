"""Timer: mark endpoints that nobody calls, and delete those that stayed unused."""

import azure.functions as func

blueprint = func.Blueprint()


@blueprint.function_name("idle_cleanup")
@blueprint.timer_trigger(arg_name="timer", schedule="%IDLE_CLEANUP_SCHEDULE%")
def idle_cleanup(timer: func.TimerRequest) -> None:
    from shared.services import services

    services().sweep.run()
    services().telemetry.flush()
