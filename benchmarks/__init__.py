"""Figures against alternatives, measured in the same run. Nothing of this is deployed or run by the tests."""
