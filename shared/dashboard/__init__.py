"""The operator's page: sessions, what is looked up, and pure functions from that to HTML."""
