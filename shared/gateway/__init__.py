"""Scoring through one stable address per dataset, in front of whatever endpoint is live."""
