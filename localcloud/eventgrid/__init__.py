"""Event Grid: system topics of storage account and workspace, custom topics, push delivery to webhooks.

events            one event, and its two wire forms
storage_journal   what happened in the storage account, as Azurite's journal tells it
storage_events    the form of the storage account's events
storage_topic     the storage account's system topic: from journal to events
topics            custom topics, and who may publish to them
publishing        what a publisher sends: limits and schemas
subscriptions     which subscription wants which event, and what it may ask for
advanced_filters  the operators of advanced filters
handshake         validation of endpoints
batches           one request to an endpoint
retries           what follows a failed delivery
delivery          one worker per subscription
dead_letters      what was given up, as blobs
store             everything accepted and everything still owed, in SQLite
blobs             Event Grid's own access to the storage account
api               the HTTP side: topics' endpoints, validation URLs, the control interface of tests
grid              all of it together
"""

from localcloud.eventgrid.grid import EventGrid

__all__ = ["EventGrid"]
