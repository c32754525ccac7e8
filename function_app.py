"""The Functions app: registers the functions of `handlers/`, nothing else."""

import azure.functions as func

from handlers import (
    costs,
    dashboard,
    dataset_settled,
    dataset_uploaded,
    deployment_progress,
    endpoints_api,
    idle_cleanup,
    job_completed,
    poison,
    reconcile,
    score,
    smoke_test,
    status_api,
)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for module in (
    dataset_uploaded,
    dataset_settled,
    job_completed,
    deployment_progress,
    smoke_test,
    poison,
    idle_cleanup,
    reconcile,
    status_api,
    costs,
    dashboard,
    endpoints_api,
    score,
):
    app.register_functions(module.blueprint)
