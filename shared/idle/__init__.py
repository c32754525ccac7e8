"""Idle cleanup: an endpoint that nobody calls is marked, and deleted after a time of grace."""
