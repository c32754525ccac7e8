"""The frame of a page that people read: one file, no script, nothing loaded."""

from __future__ import annotations

from html import escape

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


def page(title: str, body: str, style: str = "") -> bytes:
    """`body` is HTML, `style` what it needs beyond the common one; `title` is text."""
    whole = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
    # What people upload may hold what UTF-8 can not spell.
    return whole.encode(errors="replace")
