"""A document as an HTML page of its own, with the anchors that its headings have on GitHub."""

import re
from html import escape
from itertools import pairwise

from markdown_it import MarkdownIt

_STYLE = """
:root { --page: #ffffff; --panel: #f6f7f9; --ink: #15181d; --muted: #525b68; --rule: #d5dae1; --link: #0072b2; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171c; --panel: #1c2129; --ink: #e9edf2; --muted: #a3adba; --rule: #37404c; --link: #56b4e9; }
}
body { margin: 0 auto; max-width: 900px; padding: 24px 20px 60vh; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h2 { margin-top: 2.4rem; padding-top: .6rem; border-top: 1px solid var(--rule); }
h2:target { border-left: 6px solid var(--link); padding-left: 12px; background: var(--panel); }
a { color: var(--link); } code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .9em; }
pre { background: var(--panel); padding: 10px 14px; overflow-x: auto; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: 6px 10px; border-bottom: 1px solid var(--rule); }
"""


def anchor_of(heading: str) -> str:
    """What a link names after `#` to reach a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def render_page(text: str) -> str:
    """The page of a markdown document. It loads nothing and runs nothing."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse(text)
    title = ""
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", anchor_of(content.content))
            title = title or content.content
    body = parser.renderer.render(tokens, parser.options, {})
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>pipeline v6: {escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )
