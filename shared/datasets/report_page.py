"""The validation report as a page that people read: one file, no script, nothing loaded."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from shared.datasets.length_plot import length_plot
from shared.datasets.report import MAX_FINDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.datasets.report import VersionReport
    from shared.datasets.split_report import LineError, SplitReport

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--paper:#fff;--line:#d0d7de;--bar:#3b6fb6;--over:#b3500b;
--good:#1a6b32;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--paper:#11151a;--line:#353c45;--bar:#6ea8fe;
--over:#ffa657;--good:#5fd07f;--bad:#ff8a80}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1rem 4rem}h1{font-size:1.6rem;margin:0 0 .25rem;line-height:1.25}
h1,td,li{overflow-wrap:anywhere}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}h3{font-size:1rem;margin:1.5rem 0 .25rem}
p{margin:.25rem 0}.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad)}
strong.good,strong.bad{font-weight:600}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem 1rem .4rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}td.number,th.number{text-align:right}code{font-size:.9em}
svg{display:block;width:100%;height:auto;margin:.5rem 0;font-size:12px;fill:var(--soft)}
.bar{fill:var(--bar)}.over{fill:var(--over)}.grid{stroke:var(--line)}.limit{stroke:var(--over);stroke-dasharray:4 3}
.middle{text-anchor:middle}.end{text-anchor:end}
""".replace("\n", "")


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
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>Validation of {escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>"
    )
    # Blob names may hold what UTF-8 can not spell.
    return page.encode(errors="replace")


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
