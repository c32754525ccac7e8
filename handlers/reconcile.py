"""Timer: look again at whatever is overdue, and find uploads of which no event came."""

import azure.functions as func

blueprint = func.Blueprint()


@blueprint.function_name("reconcile")
@blueprint.timer_trigger(arg_name="timer", schedule="%RECONCILE_SCHEDULE%")
def reconcile(timer: func.TimerRequest) -> None:
    from shared.services import services

    services().reconciler.run()
    services().telemetry.flush()
