"""Deliberate defects, each a small change of the app's text, and the tests that must catch every one."""
