"""An executed notebook as one HTML page that needs no network: pictures inside, formulas as MathML."""

from __future__ import annotations

import copy
import html
import re
from pathlib import Path

# nbconvert's own page without the scripts it would fetch (widgets, diagrams, MathJax), with a way back to the course page.
PAGE = """{% extends 'lab/index.html.j2' %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>
body.jp-Notebook { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
.kit-back { font: 14px system-ui, sans-serif; } .kit-back a { color: #2f5d8a; text-decoration: none; }
.jp-OutputArea-output img { max-width: 100%; height: auto; }
math[display=block] { margin: 1em 0; }
</style>{% endblock %}
{% block body_header %}{{ super() }}<p class="kit-back"><a href="index.html">&larr; all chapters of this run</a></p>{% endblock %}
"""
CODE_OR_FORMULA = re.compile(r"(?P<code>```.*?```|`[^`\n]*`)|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\s][^$\n]*?)\$", re.DOTALL)
PLACE = re.compile(r"kit-formula-(\d+)-")


def to_html(nb, name: str) -> str:
    """The page of the notebook ``nb``; ``name`` is its file name, for the title."""
    import nbconvert

    nb, formulas = copy.deepcopy(nb), []
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = without_formulas(cell.source, formulas)
    page, _ = nbconvert.HTMLExporter(raw_template=PAGE, embed_images=True).from_notebook_node(
        nb, resources={"metadata": {"name": Path(name).stem.replace("_", " ")}})
    # only now, because nbconvert mends HTML that stands in Markdown tag by tag, which tears a formula apart
    return PLACE.sub(lambda match: formulas[int(match[1])], page)


def without_formulas(markdown: str, formulas: list[str]) -> str:
    r"""Markdown with a place holder for every TeX formula, which is added to ``formulas`` as MathML; code is left alone.

    >>> found = []
    >>> without_formulas("if $a<b$, as in `$x$`", found), len(found)
    ('if kit-formula-0-, as in `$x$`', 1)
    """
    from latex2mathml.converter import convert

    def held(match: re.Match) -> str:
        if match["code"]:
            return match["code"]
        try:
            formulas.append(convert(match["block"] or match["inline"], display="block" if match["block"] else "inline"))
        except Exception:  # what the converter cannot read is shown as it was typed: a page with raw TeX beats no page
            formulas.append(html.escape(match[0]))
        return f"kit-formula-{len(formulas) - 1}-"

    return CODE_OR_FORMULA.sub(held, markdown)
