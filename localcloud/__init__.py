"""Azure on a laptop: storage, Azure Machine Learning, Event Grid, Monitor, identity and a Functions host.

Knows nothing of the app that runs on it; see docs/localcloud.md.
"""
