"""The smoke test: a sample, a request that is pinned to one deployment, a verdict."""
