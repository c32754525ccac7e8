"""Checking a version and planning its tuning: everything that can be refused before a GPU is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from shared import names
from shared.datasets.paths import REQUIRED_SPLITS, SETTINGS_FILE
from shared.datasets.report import Problem, build_report
from shared.datasets.tuning_file import TuningFile, canonical, parse_tuning_file
from shared.datasets.validation import SplitReport, validate_split
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
    """What becomes of a version: a tuning that is `preparing` or `rejected`, its report, and smoke-test samples."""

    tuning: Tuning
    report: bytes
    sample: bytes


@dataclass(frozen=True)
class Examiner:
    settings: Settings
    blobs: Blobs
    sdk: SdkClient

    def examine(self, version: DatasetVersion, now: datetime) -> Examination:
        """Read everything once. Raises BlobChangedError if a file is not the one any more that was collected."""
        problems = [_missing(split) for split in missing_splits(version)]
        splits = self._splits(version)
        file = TuningFile()
        try:
            file = self._tuning_file(version)
        except InvalidDatasetError as error:
            problems.append(Problem(kind=error.code, subject=SETTINGS_FILE, reason=error.message))
        plan: Plan | None = None
        if not problems and all(report.valid for report, _ in splits):
            try:
                plan = plan_tuning(self.settings, self.sdk, version.dataset, file)
            except PermanentError as error:
                problems.append(Problem(kind=error.code, subject=SETTINGS_FILE, reason=error.message))
        fingerprint = self._fingerprint(version, [split for _, split in splits], file)
        tuning_id = names.tuning_id(version.dataset, version.version, fingerprint)
        reports = [report for report, _ in splits]
        report = build_report(
            tuning_id=tuning_id,
            dataset=version.dataset,
            version=version.version,
            splits=reports,
            problems=problems,
            created=now,
        )
        tuning = self._tuning(version, tuning_id, fingerprint, [split for _, split in splits], now)
        if plan is None:
            reason = _reason(reports, problems)
            return Examination(rejected(tuning, reason, now), report, b"")
        return Examination(_planned(tuning, plan, file, now), report, _sample(reports))

    def _splits(self, version: DatasetVersion) -> list[tuple[SplitReport, Split]]:
        found: list[tuple[SplitReport, Split]] = []
        for name in sorted(version.files):
            if name == SETTINGS_FILE:
                continue
            split, etag = name.removesuffix(".jsonl"), version.files[name]
            blob = names.split_blob(version.dataset, version.version, split)
            report = validate_split(self.blobs.read_uploaded(blob, etag), split=split)
            found.append((report, Split(split, etag, report.size, report.rows, report.sha256)))
        return found

    def _tuning_file(self, version: DatasetVersion) -> TuningFile:
        etag = version.files.get(SETTINGS_FILE)
        if etag is None:
            return TuningFile()
        content = b""
        for chunk in self.blobs.read_uploaded(f"{version.dataset}/{version.version}/{SETTINGS_FILE}", etag):
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
        contents = [f"{split.name}:{split.sha256}" for split in splits]
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
        )


def missing_splits(version: DatasetVersion) -> tuple[str, ...]:
    return tuple(split for split in REQUIRED_SPLITS if f"{split}.jsonl" not in version.files)


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
    ).noted(now, f"valid: {rows}")


def _missing(split: str) -> Problem:
    return Problem(kind="MissingSplit", subject=f"{split}.jsonl", reason=f"{split}.jsonl was not uploaded")


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


def _sample(reports: Sequence[SplitReport]) -> bytes:
    """Rows for the smoke test: of test_gen where there is one, else of test_sft."""
    by_split = {report.split: report for report in reports}
    chosen = by_split.get("test_gen") or by_split["test_sft"]
    return b"\n".join(line.strip() for line in chosen.sample) + b"\n"
