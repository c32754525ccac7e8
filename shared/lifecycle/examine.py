"""Checking a version and planning its tuning: everything that can be refused before a GPU is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from shared import names
from shared.datasets.paths import COMPRESSED_SUFFIX, REQUIRED_SPLITS, SETTINGS_FILE, SPLIT_SUFFIX, SPLITS, smoke_split
from shared.datasets.report import VersionReport, to_json
from shared.datasets.report_page import to_page
from shared.datasets.source import Source
from shared.datasets.split_report import Problem, SplitReport
from shared.datasets.thresholds import limits_of
from shared.datasets.tuning_file import TuningFile, canonical, parse_tuning_file, sequence_length
from shared.datasets.version_check import check_version, twice
from shared.errors import InvalidDatasetError, PermanentError
from shared.finetuning.plan import Plan, plan_tuning
from shared.lifecycle.records import DatasetVersion
from shared.lifecycle.tuning import Reason, Split, State, Tuning

if TYPE_CHECKING:
    from datetime import datetime

    from shared.azureml.sdk import SdkClient
    from shared.blobs import Blobs
    from shared.config import Settings

_MAX_TUNING_FILE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Examination:
    """What becomes of a version: a tuning that is `preparing` or `rejected`, and its report as JSON and as a page.

    `index` is the LineIndex of the smoke test's split.
    """

    tuning: Tuning
    report: bytes
    page: bytes
    index: bytes


@dataclass(frozen=True)
class Examiner:
    settings: Settings
    blobs: Blobs
    sdk: SdkClient

    def examine(self, version: DatasetVersion, now: datetime) -> Examination:
        """Read everything once. Raises BlobChangedError if a file is not the one any more that was collected."""
        file, problems = TuningFile(), []
        try:
            file = self._tuning_file(version)
        except InvalidDatasetError as error:
            problems.append(Problem(kind=error.code, subject=SETTINGS_FILE, reason=error.message))
        files = {split: _files_of(version, split) for split in SPLITS}
        problems += [twice(split) for split, found in files.items() if len(found) > 1]
        sources = [self._source(version, split, found[0]) for split, found in files.items() if found]
        limits = sequence_length(file, limits_of(self.settings))
        reports, more = check_version(sources, limits)
        problems += more
        plan: Plan | None = None
        if not problems and all(report.valid for report in reports):
            try:
                plan = plan_tuning(self.settings, self.sdk, version.dataset, file)
            except PermanentError as error:
                problems.append(Problem(kind=error.code, subject=SETTINGS_FILE, reason=error.message))
        splits = [_split(version, report, files[report.split][0]) for report in reports]
        fingerprint = self._fingerprint(version, splits, file)
        tuning_id = names.tuning_id(version.dataset, version.version, fingerprint)
        tuning = self._tuning(version, tuning_id, fingerprint, splits, now)
        report = VersionReport(
            tuning_id=tuning_id,
            dataset=version.dataset,
            version=version.version,
            splits=tuple(reports),
            problems=tuple(problems),
            limits=limits,
            created=now,
        )
        if plan is None:
            return Examination(rejected(tuning, _reason(reports, problems), now), to_json(report), to_page(report), b"")
        index = next(split.index for split in reports if split.split == smoke_split([split.name for split in splits]))
        return Examination(_planned(tuning, plan, file, now), to_json(report), to_page(report), index)

    def _source(self, version: DatasetVersion, split: str, file: str) -> Source:
        blob = names.uploaded_blob(version.dataset, version.version, file)
        content = self.blobs.uploaded_content(blob, version.files[file])
        return Source(split, content, compressed=file.endswith(COMPRESSED_SUFFIX))

    def _tuning_file(self, version: DatasetVersion) -> TuningFile:
        etag = version.files.get(SETTINGS_FILE)
        if etag is None:
            return TuningFile()
        content = b""
        for chunk in self.blobs.read_uploaded(
            names.uploaded_blob(version.dataset, version.version, SETTINGS_FILE), etag
        ):
            content += chunk
            if len(content) > _MAX_TUNING_FILE_BYTES:
                break
        return parse_tuning_file(content)

    def _fingerprint(self, version: DatasetVersion, splits: Sequence[Split], file: TuningFile) -> str:
        """Over what is trained on and how, as the user and the operator asked for it.

        What they left to us (the newest version of model and component) is resolved once and recorded; it is
        not part of the identity, or a redelivered event would train anew after every release.
        """
        base_model = file.base_model or self.settings.base_model
        base_version = file.base_model_version or ("" if file.base_model else self.settings.base_model_version)
        contents = [f"{split.name}:{split.content}" for split in sorted(splits, key=lambda split: split.name)]
        return names.digest(
            version.dataset,
            version.version,
            *contents,
            canonical(file),
            base_model,
            base_version,
            self.settings.component,
            length=64,
        )

    def _tuning(
        self,
        version: DatasetVersion,
        tuning_id: str,
        fingerprint: str,
        splits: Sequence[Split],
        now: datetime,
    ) -> Tuning:
        return Tuning(
            id=tuning_id,
            dataset=version.dataset,
            version=version.version,
            fingerprint=fingerprint,
            state=State.PREPARING,
            created_at=now,
            state_since=now,
            wake_at=now,
            splits=tuple(splits),
            trace=version.trace,
        )


def missing_splits(version: DatasetVersion) -> tuple[str, ...]:
    return tuple(split for split in REQUIRED_SPLITS if not _files_of(version, split))


def _files_of(version: DatasetVersion, split: str) -> list[str]:
    return [split + suffix for suffix in (SPLIT_SUFFIX, COMPRESSED_SUFFIX) if split + suffix in version.files]


def _split(version: DatasetVersion, report: SplitReport, file: str) -> Split:
    return Split(report.split, version.files[file], report.size, report.rows, report.content, file)


def rejected(tuning: Tuning, reason: Reason, now: datetime) -> Tuning:
    return replace(tuning, state=State.REJECTED, reason=reason).noted(now, f"{reason.code}: {reason.message}")


def _planned(tuning: Tuning, plan: Plan, file: TuningFile, now: datetime) -> Tuning:
    rows = ", ".join(f"{split.name} {split.rows} rows" for split in tuning.splits)
    return replace(
        tuning,
        base_model=plan.base_model.name,
        base_model_id=plan.base_model.id,
        component_id=plan.component_id,
        parameters=plan.parameters,
        dropped_parameters=plan.dropped,
        display_name=plan.display_name,
        finetune_instance_type=plan.finetune_instance_type,
        inference_instance_type=plan.inference_instance_type,
        instance_count=plan.instance_count,
        smoke_expectations=asdict(file.smoke),
        canary_settings=asdict(file.canary),
        idle=idle_settings(file),
    ).noted(now, f"valid: {rows}")


def idle_settings(file: TuningFile) -> dict[str, object]:
    """What the version says itself; the rest is the app's."""
    return {key: value for key, value in asdict(file.idle).items() if value is not None}


def _reason(reports: Sequence[SplitReport], problems: Sequence[Problem]) -> Reason:
    """The first problem in words, and how many more the report has."""
    if problems:
        more = len(problems) - 1
        text = f"{problems[0].subject}: {problems[0].reason}"
        return Reason(problems[0].kind, text if not more else f"{text} (and {more} more)")
    for report in reports:
        if report.errors:
            first, count = report.errors[0], sum(report.error_counts.values())
            text = f"{report.split}.jsonl line {first.line}: {first.reason}"
            return Reason("InvalidDataset", text if count == 1 else f"{text} ({count} errors in this file)")
    return Reason("InvalidDataset", "a split has no valid rows")
