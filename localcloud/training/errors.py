"""What a step can fail with: the two kinds that Azure ML distinguishes."""

from __future__ import annotations


class UserError(Exception):
    """The inputs can not be trained on as they are. The message is what the job shows."""

    code = "UserError"


SYSTEM_ERROR = "SystemError"
"""Code of every failure that is not the user's."""
