"""Offline checks of the deployment. Each is a function that yields problems; none needs Azure or the network."""
