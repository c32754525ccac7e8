"""Event Grid: system topics of storage account and workspace, custom topics, push delivery to webhooks.

events         one event, and its two wire forms
subscriptions  which subscription wants which event
retries        what follows a failed delivery
store          everything accepted and everything still owed, in SQLite
delivery       handshake and delivery, one worker per subscription
access_log     what happened in the storage account, read from Azurite's access log
storage_topic  the storage account's system topic
blobs          Event Grid's own access to the storage account
api            the topics' endpoints, and the control interface of tests
grid           all of it together
"""

from localcloud.eventgrid.grid import EventGrid

__all__ = ["EventGrid"]
