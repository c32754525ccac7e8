"""In-memory twins of everything in Azure that the app touches, at the seam where the app touches it.

`world` is what the twins ask (time, fate, whether a call comes through); `calm` a world without faults; `cloud` the
state of all services and the clients of one instance of the app; `services` lends those clients to the handlers.
tests/contract/twins holds the twins against the real parts.
"""
