"""A chapter's page can be read without a network, formulas included."""

import re

import nbformat
import pytest

from recsys_kit.runs.chapters import everything
from recsys_kit.runs.page import to_html, without_formulas


@pytest.fixture(scope="module", params=everything(), ids=lambda chapter: chapter.path.stem)
def page(request):
    return to_html(nbformat.read(request.param.path, 4), request.param.path.name)


def test_the_page_fetches_nothing(page):
    assert not re.findall(r"<(?:script|img|iframe)[^>]*\ssrc=\"(?!data:)[^\"]+", page)
    assert not re.findall(r"<link[^>]+href=\"(?!data:)[^\"]+", page)


def test_every_formula_is_drawn_whole(page):
    prose = re.sub(r"<(style|script|pre|code).*?</\1>", "", page, flags=re.DOTALL)
    assert "$$" not in prose and "\\frac" not in prose and "kit-formula" not in page
    assert "<math" not in page or re.search(r"<math[^>]*><mrow>.*?</mrow></math>", page)
    assert "<mfrac></mfrac>" not in page


def test_formulas_are_found_at_all(page, request):
    source = request.node.callspec.params["page"].path.read_text(encoding="utf-8")
    assert ("<math" in page) == ("$" in source)


def test_code_and_prices_are_no_formulas():
    text, formulas = "`$x$` costs 5 $ or 6 $\n```\n$y$\n```", []
    assert without_formulas(text, formulas) == text and not formulas


def test_what_the_converter_cannot_read_stays_as_typed():
    formulas = []
    assert without_formulas(r"see $\frac$ there", formulas) == "see kit-formula-0- there" and formulas == [r"$\frac$"]
