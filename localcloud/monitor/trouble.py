"""What tests can make Monitor do: refuse, know late, lack data, answer in part."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Literal

from localcloud.http import CloudError

EmptyMinutes = Literal["zero", "absent"]


@dataclass(frozen=True)
class Trouble:
    """All of it off by default. Endpoints are meant by name, minutes as ISO 8601 times in UTC.

    `fail`: answer `status` and `code`, with `retry_after` seconds if given; only the next `times` calls unless
    that is null.
    `omit_minutes`, `omit`: the newest minutes, or these ones, have no value. `lag_minutes`: requests become known
    that much later; until then their minutes look empty.
    `omit_resources`: missing from the answer. `failed_resources`: the answer says for them that it has no data.
    `empty`: a minute without requests is 0, or has no value. Which of them Azure does for RequestsPerMinute is
    unverified. 0 is the default because otherwise an idle endpoint can not be told from an outage, and an
    automation that wants to see idle endpoints has nothing to look at; who relies on it should try both.
    """

    fail: bool = False
    status: int = 503
    code: str = "ServiceUnavailable"
    times: int | None = None
    retry_after: int | None = None
    omit_minutes: int = 0
    lag_minutes: int = 0
    omit: tuple[str, ...] = ()
    omit_resources: tuple[str, ...] = ()
    failed_resources: tuple[str, ...] = ()
    empty: EmptyMinutes = "zero"

    def __post_init__(self) -> None:
        """Raises TypeError for values of a wrong type or out of bounds: they come from outside."""
        for name in ("status", "omit_minutes", "lag_minutes", "times", "retry_after"):
            value = getattr(self, name)
            optional = name in ("times", "retry_after")
            if not (value is None and optional) and (not isinstance(value, int) or value < 0):
                raise TypeError(f"{name} must be a number that is not negative")
        for name in ("omit", "omit_resources", "failed_resources"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
                raise TypeError(f"{name} must be a list of strings")
            object.__setattr__(self, name, tuple(value))
        for text in self.omit:
            _minute(text)
        if not isinstance(self.fail, bool) or self.empty not in ("zero", "absent"):
            raise TypeError("fail must be a boolean, and empty one of zero and absent")
        if not 400 <= self.status <= 599:
            raise TypeError("status must be that of an error")

    @property
    def omitted(self) -> frozenset[int]:
        """The minutes of `omit`, counted from the epoch."""
        return frozenset(map(_minute, self.omit))

    def refusal(self) -> CloudError | None:
        """The error of the next call, if it has to fail."""
        if not self.fail or self.times == 0:
            return None
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return CloudError(self.status, self.code, "The metrics service is unavailable.", headers)

    def after_refusal(self) -> Trouble:
        return self if self.times is None else replace(self, times=self.times - 1)


def _minute(text: str) -> int:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise TypeError(f"omit must be a list of times, '{text}' is none") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() // 60)
