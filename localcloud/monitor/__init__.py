"""Azure Monitor's metrics batch API over the requests that the deployments really received.

metrics   which metrics there are, and how a value comes from requests
query     what was asked, checked as Monitor checks it
points    from requests to the points of a time series
trouble   what tests can make it do
service   the endpoint, and the form of its answers

Contract: `MetricsClient.query_resources` of azure-monitor-querymetrics and the specification of its API,
https://learn.microsoft.com/rest/api/monitor/metrics-batch/batch. Wordings of errors that no public source shows
are our own.
"""

from localcloud.monitor.service import Monitor
from localcloud.monitor.trouble import Trouble

__all__ = ["Monitor", "Trouble"]
