"""The smoke test as a page that people read: every question with the data's, the live and the new answer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from shared.page import page

if TYPE_CHECKING:
    from shared.serving.smoke_report import AnswerReport, Figures, SampleReport, SmokeReport

_STYLE = """
.talk{border-left:3px solid var(--line);padding:.1rem 0 .1rem .9rem;margin:.5rem 0 1rem}
.talk p,.said{white-space:pre-wrap;overflow-wrap:anywhere}.role{color:var(--soft);font-size:.85em}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:1rem 1.5rem}
.answers section{border-top:2px solid var(--line);padding-top:.4rem}.answers h3{margin:0 0 .25rem}
""".replace("\n", "")
_MAX_SHOWN = 8000
"""Characters of one text; the JSON beside it has all."""


def to_page(report: SmokeReport) -> bytes:
    verdict = '<strong class="good">passed</strong>' if report.passed else '<strong class="bad">failed</strong>'
    beside = f" Side by side with {escape(report.live_tuning)}, which was live." if report.live_tuning else ""
    body = [
        f"<h1>Smoke test of {escape(report.tuning)}: {verdict}</h1>",
        f'<p class="soft">Deployment {escape(report.deployment)}, try {report.attempt}, '
        f"{report.at:%Y-%m-%d %H:%M} UTC.{beside}</p>",
        f"<p>{escape(report.detail)}</p>",
        _figures(report),
        *(_sample(number, sample) for number, sample in enumerate(report.samples, 1)),
    ]
    return page(f"Smoke test of {report.tuning}", "".join(body), _STYLE)


def _figures(report: SmokeReport) -> str:
    sides = [("New", report.figures), *([("Live", report.live)] if report.live else [])]
    lines: list[tuple[str, list[str]]] = [
        ("Answers", [f"{side.answers}" for _, side in sides]),
        ("Fell short", [f"{side.failures}" for _, side in sides]),
        ("Latency: median", [f"{side.latency_p50_seconds:.2f} s" for _, side in sides]),
        ("Latency: 95 % up to", [f"{side.latency_p95_seconds:.2f} s" for _, side in sides]),
        ("ROUGE-L, mean", [_score(side.rouge_l) for _, side in sides]),
        ("Exact matches", [_share(side) for _, side in sides]),
    ]
    head = "".join(f'<th scope="col" class="number">{name}</th>' for name, _ in sides)
    rows = "".join(
        f'<tr><th scope="row">{name}</th>' + "".join(f'<td class="number">{cell}</td>' for cell in cells) + "</tr>"
        for name, cells in lines
    )
    loss = "" if report.eval_loss is None else f"<p>Evaluation loss of the job: {report.eval_loss:.4f}</p>"
    return (
        '<h2>Figures</h2><div class="wide"><table><caption>ROUGE-L and exact matches are against the answers in the '
        f"data</caption><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table></div>{loss}"
    )


def _sample(number: int, sample: SampleReport) -> str:
    turns = "".join(
        f'<p><span class="role">{escape(message.get("role", ""))}</span><br>{_text(message.get("content"))}</p>'
        for message in sample.question
    )
    answers = [
        _section("In the data", f'<p class="said">{_text(sample.truth)}</p>') if sample.truth is not None else "",
        _section("Live", _answer(sample.live)) if sample.live is not None else "",
        _section("New", _answer(sample.answer)),
    ]
    return f'<h2>Question {number}</h2><div class="talk">{turns}</div><div class="answers">{"".join(answers)}</div>'


def _section(title: str, body: str) -> str:
    return f"<section><h3>{title}</h3>{body}</section>"


def _answer(answer: AnswerReport) -> str:
    figures = [f"{answer.latency_seconds:.2f} s"]
    if answer.rouge_l is not None:
        figures.append(f"ROUGE-L {answer.rouge_l:.2f}")
    if answer.exact_match:
        figures.append("exact match")
    said = "" if answer.text is None else f'<p class="said">{_text(answer.text)}</p>'
    faults = "".join(f'<li class="bad">{escape(fault)}</li>' for fault in answer.faults)
    short = f"<ul>{faults}</ul>" if faults else ""
    return f'{said}{short}<p class="soft">{", ".join(figures)}</p>'


def _text(text: str | None) -> str:
    shown = text or ""
    return escape(shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]} …")


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(figures: Figures) -> str:
    return "–" if figures.exact_match is None else f"{figures.exact_match:.0%}"
