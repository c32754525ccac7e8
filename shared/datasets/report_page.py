"""The validation report as a page that people read: one file, no script, nothing loaded."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from shared.datasets.length_plot import length_plot
from shared.datasets.report import MAX_FINDINGS
from shared.page import page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.datasets.report import VersionReport
    from shared.datasets.split_report import LineError, SplitReport


def to_page(report: VersionReport) -> bytes:
    title = f"{report.dataset} {report.version}".strip() or report.tuning_id
    verdict = '<strong class="good">valid</strong>' if report.valid else '<strong class="bad">rejected</strong>'
    body = [
        f"<h1>Validation of {escape(title)}: {verdict}</h1>",
        f'<p class="soft">Tuning {escape(report.tuning_id)}, checked {report.created:%Y-%m-%d %H:%M} UTC. '
        f"Tokens are estimated, at {report.limits.token_bytes:g} bytes each.</p>",
        _problems(report),
        _overview(report.splits),
        *(_lengths(split, report.limits.max_seq_length) for split in report.splits if split.valid_rows),
        _findings("Errors", "What must be corrected", report.errors(), [split.error_counts for split in report.splits]),
        _findings(
            "Warnings",
            "What is worth a look, and no reason to refuse",
            report.warnings(),
            [split.warning_counts for split in report.splits],
        ),
    ]
    return page(f"Validation of {title}", "".join(body))


def _problems(report: VersionReport) -> str:
    if not report.problems:
        return ""
    items = "".join(
        f"<li><code>{escape(problem.kind)}</code> {escape(problem.subject)}: {escape(problem.reason)}</li>"
        for problem in report.problems
    )
    return f"<h2>Problems</h2><ul>{items}</ul>"


def _overview(splits: Sequence[SplitReport]) -> str:
    if not splits:
        return ""
    lines: list[tuple[str, list[str]]] = [
        ("Result", ["valid" if split.valid else "invalid" for split in splits]),
        ("Rows", [f"{split.rows:,}" for split in splits]),
        ("Valid rows", [f"{split.valid_rows:,}" for split in splits]),
        ("Messages", [f"{split.turns:,}" for split in splits]),
        ("Messages by role", [_counts(split.roles) for split in splits]),
        ("Characters", [f"{split.characters:,}" for split in splits]),
        ("Estimated tokens", [f"{split.tokens:,}" for split in splits]),
        ("Tokens of a row: median", [f"{split.lengths.median:,}" for split in splits]),
        ("Tokens of a row: 95 % up to", [f"{split.lengths.p95:,}" for split in splits]),
        ("Tokens of a row: longest", [f"{split.lengths.longest:,}" for split in splits]),
        ("Repeated conversations", [_count(split, "duplicate_conversation") for split in splits]),
        ("Repeated prompt_id", [_count(split, "duplicate_prompt_id") for split in splits]),
        ("Conversations also in train_sft", [_count(split, "leaked_conversation") for split in splits]),
        ("Bytes", [f"{split.size:,}" for split in splits]),
    ]
    head = "".join(f'<th scope="col" class="number">{escape(split.split)}</th>' for split in splits)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, cells in lines
    )
    return (
        '<h2>Splits</h2><div class="wide"><table><caption>What was read</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _lengths(split: SplitReport, max_seq_length: int) -> str:
    return f"<h3>Lengths of {escape(split.split)}</h3>{length_plot(split.lengths, split.split, max_seq_length)}"


def _findings(
    title: str, caption: str, listed: Sequence[tuple[str, LineError]], counts: Iterable[Mapping[str, int]]
) -> str:
    total: dict[str, int] = {}
    for split in counts:
        for kind, count in split.items():
            total[kind] = total.get(kind, 0) + count
    if not total:
        return ""
    rows = "".join(
        f'<tr><td>{escape(file)}</td><td class="number">{finding.line:,}</td>'
        f'<td class="number">{finding.offset:,}</td><td><code>{escape(finding.kind)}</code></td>'
        f"<td>{escape(finding.reason)}</td></tr>"
        for file, finding in listed
    )
    every = sum(total.values())
    shown = f"{caption}: all {every:,}" if every == len(listed) else f"{caption}: {len(listed)} of {every:,}"
    assert len(listed) <= MAX_FINDINGS
    return (
        f'<h2>{title}</h2><p>{escape(_counts(total))}</p><div class="wide"><table><caption>{shown}</caption>'
        '<thead><tr><th scope="col">File</th><th scope="col" class="number">Line</th>'
        '<th scope="col" class="number">Byte</th><th scope="col">Kind</th><th scope="col">Reason</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _count(split: SplitReport, kind: str) -> str:
    return f"{split.warning_counts.get(kind, 0):,}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in sorted(counts.items())) or "none"
