"""The real lifecycle in a simulated world: in-memory twins of Azure, a virtual clock, seeded faults."""
