"""The life of a tuning: what it is, what is decided about it, how that is done and recorded."""
