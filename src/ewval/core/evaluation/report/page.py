"""The frame of a page that needs nothing from outside: style, tables, pictures as data."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { --ink:#1f2733; --soft:#5b6675; --line:#e3e7ee; --card:#fff; --page:#f5f7fa; --blue:#2563eb;
  --good:#15803d; --bad:#c81e3a; --unsure:#8a5a00; }
* { box-sizing:border-box; }
body { margin:0; background:var(--page); color:var(--ink); font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
  "Helvetica Neue",Arial,sans-serif; }
main { max-width:1120px; margin:0 auto; padding:20px 16px 64px; }
h1 { font-size:1.6rem; line-height:1.25; margin:.2rem 0; } h2 { font-size:1.2rem; margin:2.4rem 0 .4rem; }
h3 { font-size:1rem; margin:1.4rem 0 .3rem; } p { margin:.4rem 0; } .soft { color:var(--soft); font-size:.92rem; }
.card { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:14px 16px; margin:12px 0; }
.alarm { background:var(--bad); color:#fff; border-color:var(--bad); font-weight:600; }
.tiles { display:grid; gap:12px; grid-template-columns:repeat(auto-fit,minmax(200px,1fr)); margin:12px 0; }
.tile { background:var(--card); border:1px solid var(--line); border-radius:10px; padding:12px 14px; }
.tile b { display:block; font-size:1.55rem; line-height:1.2; font-variant-numeric:tabular-nums; }
.scroll { overflow-x:auto; background:var(--card); border:1px solid var(--line); border-radius:10px; margin:12px 0; }
table { border-collapse:collapse; width:100%; font-size:.92rem; font-variant-numeric:tabular-nums; }
th,td { padding:7px 10px; text-align:right; white-space:nowrap; border-bottom:1px solid var(--line); }
th { color:var(--soft); font-weight:600; vertical-align:bottom; } tr:last-child td { border-bottom:0; }
th:first-child,td:first-child { text-align:left; position:sticky; left:0; background:var(--card); }
tr.main td { font-weight:600; }
td small { color:var(--soft); font-weight:400; display:block; line-height:1.2; }
figure { margin:0; background:var(--card); border:1px solid var(--line); border-radius:10px; padding:10px; }
figure img { display:block; width:100%; height:auto; } figcaption { color:var(--soft); font-size:.85rem; padding:4px; }
.plots { display:grid; gap:12px; grid-template-columns:repeat(auto-fit,minmax(290px,1fr)); margin:12px 0; }
.wide { max-width:720px; }
.slices { display:grid; gap:12px; grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr)); }
.state { border-radius:99px; padding:1px 10px; font-size:.85rem; font-weight:600; color:#fff; white-space:nowrap; }
.pass { background:var(--good); } .fail { background:var(--bad); } .inconclusive { background:var(--unsure); }
details > summary { cursor:pointer; font-weight:600; margin:1.2rem 0 .4rem; } dt { font-weight:600; margin-top:.6rem; }
dd { margin:0 0 0 1rem; }
.key { display:inline-block; width:.8em; height:.8em; border-radius:3px; margin:0 .3em 0 .9em; }
"""


def page(title: str, body: Iterable[str]) -> str:
    """Return a whole HTML document whose only content is what it holds itself."""
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # An icon of nothing: without one, browsers ask the server for /favicon.ico.
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
    )
    return f"{head}<body><main>\n" + "\n".join(body) + "\n</main></body></html>\n"


def picture(content: bytes, *, kind: str, alt: str, caption: str = "") -> str:
    """Return a picture, inlined; `kind` is its media type, such as image/png."""
    data = base64.b64encode(content).decode()
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img alt="{escape(alt, quote=True)}" src="data:{kind};base64,{data}">{note}</figure>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, main_rows: int = 0) -> str:
    """Return a table that scrolls sideways where it must; cells are HTML, the first `main_rows` rows stand out."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        f"<tr{' class=main' if number < main_rows else ''}>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for number, row in enumerate(rows)
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def tile(number: str, text: str) -> str:
    """Return one figure that stands out, and what it is."""
    return f'<div class="tile"><b>{escape(number)}</b><span class="soft">{escape(text)}</span></div>'
