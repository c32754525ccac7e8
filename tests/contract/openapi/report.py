"""Judges all exchanges of a test run, and says it as a table: operation × checked × deviations."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.contract.openapi.deviations import explained
from tests.contract.openapi.families import family_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.contract.openapi.checker import Checker, Verdict
    from tests.contract.openapi.exchanges import Exchange

_SHOWN = 20
_WIDTH = 44


@dataclass
class Tally:
    requests: int = 0
    responses: int = 0
    known: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0


@dataclass
class Report:
    exchanges: int = 0
    distinct: int = 0
    operations: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    families: Counter[str] = field(default_factory=Counter)
    instead: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    """Requests of tests to what does not exist, refused as they should be."""
    unexplained: Counter[str] = field(default_factory=Counter)

    def lines(self) -> list[str]:
        head = f"{'operation':{_WIDTH}}{'requests':>9}{'responses':>10}  deviations"
        lines = [f"{self.exchanges} exchanges, {self.distinct} distinct", "", head]
        for name, tally in sorted(self.operations.items()):
            found = [f"{rule} × {count}" for rule, count in sorted(tally.known.items())]
            found += [f"UNEXPLAINED × {tally.unexplained}"] if tally.unexplained else []
            lines.append(f"{name:{_WIDTH}}{tally.requests:>9}{tally.responses:>10}  {', '.join(found) or '-'}")
        if self.families:
            lines += ["", f"{'without a specification':{_WIDTH}}{'exchanges':>9}  held against"]
            lines += [f"{name:{_WIDTH}}{n:>9}  {self.instead[name]}" for name, n in sorted(self.families.items())]
        if self.refused:
            lines += ["", f"{self.refused} requests of tests to what is not there, refused"]
        if self.unexplained:
            lines += ["", f"UNEXPLAINED DEVIATIONS: {len(self.unexplained)} different"]
            lines += [f"{count:>6} × {message}" for message, count in self.unexplained.most_common(_SHOWN)]
        return lines


def judge(exchanges: Iterable[Exchange], checker: Checker) -> Report:
    """Those of one fingerprint are checked once, and counted each."""
    report = Report()
    verdicts: dict[str, Verdict] = {}
    for exchange in exchanges:
        report.exchanges += 1
        family = family_of(exchange)
        if family is not None:
            report.families[family.name] += 1
            report.instead[family.name] = family.instead
            continue
        fingerprint = exchange.fingerprint()
        verdict = verdicts.get(fingerprint)
        if verdict is None:
            verdict = verdicts[fingerprint] = checker.check(exchange)
        if verdict.operation is None and exchange.is_wrong_on_purpose:
            report.refused += 1
            continue
        _add(report, exchange, verdict)
    report.distinct = len(verdicts)
    return report


def _add(report: Report, exchange: Exchange, verdict: Verdict) -> None:
    name = verdict.operation or "unknown"
    tally = report.operations[name]
    tally.requests += verdict.request is not None
    tally.responses += verdict.response is not None
    for side, messages in (("request", verdict.request), ("response", verdict.response)):
        for message in messages or ():
            known = explained(name, side, message, exchange.status)
            if known is not None:
                tally.known[known.id] += 1
                continue
            tally.unexplained += 1
            client = exchange.request_headers.get("user-agent", "").split("/")[0] or "unknown client"
            report.unexplained[
                f"{name} {exchange.method} {exchange.api_version} {exchange.status} ({client}): {side} {message}"
            ] += 1
