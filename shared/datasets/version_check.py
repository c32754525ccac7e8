"""Check all splits of one version, and what only shows when they are put side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.datasets.limits import DEFAULT_LIMITS, Limits
from shared.datasets.paths import COMPRESSED_SUFFIX, REQUIRED_SPLITS, SPLIT_SUFFIX
from shared.datasets.repetition import shared_conversations, shared_ids
from shared.datasets.split_report import Findings, Problem, SplitReport, mixed
from shared.datasets.validation import validate_split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.datasets.source import Source

_TRAIN = "train_sft"


def check_version(
    sources: Sequence[Source], limits: Limits = DEFAULT_LIMITS
) -> tuple[list[SplitReport], list[Problem]]:
    """The reports in the order of the sources, and what is wrong with the version as a whole.

    Each source is read once; once more if two lines look like one conversation written in two ways. Raises only
    what reading the sources raises.
    """
    reports = [validate_split(source, limits) for source in sources]
    problems = [
        Problem("MissingSplit", split + SPLIT_SUFFIX, f"{split}{SPLIT_SUFFIX} was not uploaded")
        for split in REQUIRED_SPLITS
        if split not in {source.split for source in sources}
    ]
    train = next((place for place, report in enumerate(reports) if report.split == _TRAIN), None)
    if train is None or _unreadable(reports[train]):
        return reports, problems
    for place, report in enumerate(reports):
        if place == train or _unreadable(report):
            continue
        warned = _with_leaks(report, sources[place], reports[train], sources[train], limits)
        reports[place] = warned
        leaked = warned.warning_counts.get("leaked_conversation", 0)
        if report.split in REQUIRED_SPLITS and leaked * 100 > limits.max_leak_percent * report.valid_rows:
            reason = (
                f"{leaked} of {report.valid_rows} conversations stand in {_TRAIN}{SPLIT_SUFFIX} as well, at most "
                f"{limits.max_leak_percent:g} % may: the evaluation would be of what was learnt by heart"
            )
            problems.append(Problem("LeakedTestData", report.split + SPLIT_SUFFIX, reason))
    return reports, problems


def twice(split: str) -> Problem:
    reason = f"{split}{SPLIT_SUFFIX} and {split}{COMPRESSED_SUFFIX} were both uploaded; delete one of them"
    return Problem("AmbiguousSplit", split + SPLIT_SUFFIX, reason)


def _with_leaks(
    report: SplitReport, source: Source, train: SplitReport, train_source: Source, limits: Limits
) -> SplitReport:
    def look(raws: Mapping[int, int]) -> Mapping[int, int]:
        return source.look_again(raws, limits)

    def look_there(raws: Mapping[int, int]) -> Mapping[int, int]:
        return train_source.look_again(raws, limits)

    conversations = shared_conversations(report.table, look, train.table, look_there)
    findings = Findings(limits.max_findings)
    _add(findings, report, train, "leaked_conversation", "conversation", conversations)
    _add(findings, report, train, "leaked_prompt_id", "prompt_id", shared_ids(report.table, train.table))
    if not findings.counts:
        return report
    warnings = sorted((*report.warnings, *findings.first(limits.max_findings)), key=lambda found: found.line)
    return replace(
        report,
        warnings=mixed(warnings, limits.max_findings, kind=lambda found: found.kind),
        warning_counts={**report.warning_counts, **findings.counts},
    )


def _add(
    findings: Findings, report: SplitReport, train: SplitReport, kind: str, what: str, pairs: Iterable[tuple[int, int]]
) -> None:
    file = train.split + SPLIT_SUFFIX
    for index, there in pairs:
        other = train.table.line(there)
        findings.add(
            kind,
            f"the same {what} as on line {other} of {file}",
            line=report.table.line(index),
            offset=report.table.offsets[index],
            other=(file, other),
        )


def _unreadable(report: SplitReport) -> bool:
    return bool(report.error_counts.get("bad_archive"))
