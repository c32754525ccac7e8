"""For those with a subscription: what the documentation leaves open, asked of Azure itself (`make verify-azure`).

`make test` runs the same on the local cloud, which shows that the suite runs, and what the local cloud does.
"""
