"""Azure Functions on a laptop: hosts an unmodified Python (v2 model) function app.

    python -m localcloud.functions --app DIR --port N --settings FILE --keys FILE --state DIR

What is real: the app's indexing and its binding converters (azure-functions, or azure-functions-runtime with
`--engine runtime`), the storage queues, blobs and leases, the HTTP surface. What the .NET host does in Azure
– polling, visibility, poison queues, schedules, webhooks, keys – is done here by its published rules.
"""
