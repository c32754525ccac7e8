"""What can go wrong, by what is to be done about it.

DroptuneError            unexpected: worth a few tries
├── TransientError       the cloud said "later": try again, as long as the stage's deadline allows
│   ├── RaceLostError    somebody else changed the row first: read it again
│   └── ThrottledError   asked too often: the service says for how long to wait
├── PermanentError       never again; the tuning ends with this reason, an operator may replay it
│   └── InvalidDatasetError
└── ConfigurationError   an app setting is missing or malformed
"""

from __future__ import annotations


class DroptuneError(Exception):
    """Base of all errors that droptune raises on purpose."""


class TransientError(DroptuneError):
    """`retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float = 15.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RaceLostError(TransientError):
    """A compare-and-swap found another ETag than the one that was read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=1.0)


class ThrottledError(TransientError):
    """HTTP 429; nothing was done."""


class PermanentError(DroptuneError):
    """`code` is a stable PascalCase word that programs may compare; `message` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class InvalidDatasetError(PermanentError):
    """What was uploaded can not be trained on."""


class ConfigurationError(DroptuneError):
    """Names the app setting and says what it should look like."""
