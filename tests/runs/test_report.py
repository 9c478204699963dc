"""The page of a run: every number, every claim, the pictures; whatever failed is in sight; nothing is fetched."""

import json
import re

import pytest

from recsys_kit.runs import manifest as manifests
from recsys_kit.runs import report

PNG = ["iVBORw0KGgoA", "iVBORw0KGgoB", "iVBORw0KGgoC"]


def cell(kind, source, png=None, tags=()):
    outputs = {"outputs": [{"output_type": "display_data", "data": {"image/png": png + "\n"}, "metadata": {}}]} if png else {}
    return {"cell_type": kind, "source": source.splitlines(keepends=True), "metadata": {"tags": list(tags)}} | outputs


def notebook(path, tags=((), (), ())):
    cells = [cell("markdown", "# Title\n## First **idea**")]
    cells += [cell("code", "plot()", png, tag) for png, tag in zip(PNG[:1] + PNG[1:2], tags[:2], strict=True)]
    cells += [cell("markdown", "words\n### Second `idea`\nmore"), cell("code", "plot()", PNG[2], tags[2])]
    path.write_text(json.dumps({"cells": cells}))


@pytest.fixture
def folder(tmp_path):
    manifest = manifests.new("2026-01-01_market_seed0", "2026-01-01T10:20:30+00:00", {"seed": "0"})
    base = {"parameters": {"dataset": "market", "seed": 0}, "inputs": {}}
    manifest["chapters"] = [
        base | {"chapter": "01", "notebook": "01_a.ipynb", "title": "Behaviour <data>", "status": "done", "seconds": 3.1,
                "cells": 9},
        base | {"chapter": "02", "notebook": "02_b.ipynb", "title": "Slow", "status": "done", "seconds": 12.7, "cells": 9},
        base | {"chapter": "03", "notebook": "03_c.ipynb", "title": "Broken", "status": "failed", "seconds": 1.0, "cells": 9,
                "cells_run": 4, "error": {"cell": 4, "source": "x < y", "name": "KeyError", "message": "'price & <cost>'"}},
        base | {"chapter": "04", "notebook": "04_d.ipynb", "title": "Later", "status": "waiting"}]
    manifests.write(tmp_path, manifest)
    (tmp_path / "ledger.csv").write_text("chapter,dataset,seed,name,value,unit\n01,market,0,users,1234567,users\n"
                                         "01,market,0,gini,0.5312345678,\n02,market,0,fingerprint,123456789012,\n")
    (tmp_path / "claims.csv").write_text("chapter,dataset,seed,claim,verdict\n01,m,0,it is long,holds\n"
                                         "01,m,0,it is <wide>,does not hold\n02,m,0,it is found,needs known truth\n")
    for name in ("01_a", "02_b", "03_c"):
        notebook(tmp_path / f"{name}.ipynb")
        (tmp_path / f"{name}.html").write_text("")
    return tmp_path


def page(folder):
    return report.write(folder).read_text()


def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_every_recorded_number_is_shown_and_its_exact_value_kept(folder):
    html = page(folder)
    assert "1,234,567 users" in text_of(html) and 'title="users = 1234567"' in html
    assert "0.531235" in text_of(html) and 'title="gini = 0.5312345678"' in html


def test_a_fingerprint_of_digits_is_not_shown_as_a_number(folder):
    assert "123456789012" in text_of(page(folder))


def test_claims_are_shown_with_their_verdicts_and_counted(folder):
    text = text_of(page(folder))
    for line in ("✓ holds it is long", "✗ does not hold it is &lt;wide&gt;", "? needs known truth it is found"):
        assert line in text
    assert "1 claims hold 1 claims do not hold 1 claims need known truth" in text


def test_a_failed_chapter_is_in_sight_with_cell_and_error(folder):
    html = page(folder)
    assert 'class="card failed" id="chapter-03"' in html
    assert "Failed in cell [4] : x &lt; y KeyError: &#39;price &amp; &lt;cost&gt;&#39;" in text_of(html)
    assert "2 of 4 chapters done" in text_of(html) and "4 of 9" in text_of(html)


def test_a_chapter_that_has_not_run_yet_says_so_and_has_no_link(folder):
    html = page(folder)
    assert "not run yet" in html and 'href="04_d.html"' not in html and 'href="01_a.html"' in html


def test_a_chapter_over_its_budget_is_marked(folder):
    assert text_of(page(folder)).count("over 12 s: &nbsp; 12.7".replace(" &nbsp;", "&nbsp;")) == 1


def test_a_case_has_the_budget_of_its_full_size_and_a_run_of_cases_is_called_so(folder):
    manifest = manifests.read(folder)
    manifest["chapters"] = [entry | {"chapter": f"case-{number}", "seconds": seconds, "parameters": {"dataset": name, "seed": 7}}
                            for number, (entry, seconds, name) in enumerate(zip(manifest["chapters"], (12.7, 90.4), "xy",
                                                                                strict=False), 1)]
    manifests.write(folder, manifest)
    text = text_of(page(folder))
    assert "over 12 s" not in text and text.count("over 90 s:") == 1
    assert "2 of 2 cases done" in text and "x, y, seed 7" in text and "chapters done" not in text


def test_a_link_is_only_made_to_a_page_that_is_there(folder):
    (folder / "02_b.html").unlink()
    assert 'href="02_b.html"' not in page(folder)


def test_without_tags_the_first_two_pictures_are_the_main_ones_with_their_heading(folder):
    found = report.pictures(folder / "01_a.ipynb")
    assert [(picture["png"], picture["title"]) for picture in found] == [(PNG[0], "First idea"), (PNG[1], "First idea")]


def test_tagged_pictures_are_the_main_ones(folder):
    notebook(folder / "01_a.ipynb", tags=((), (), ("main-picture",)))
    assert [(picture["png"], picture["title"]) for picture in report.pictures(folder / "01_a.ipynb")] == [(PNG[2], "Second idea")]
    assert f'src="data:image/png;base64,{PNG[2]}" alt="Second idea"' in page(folder)


def test_the_page_fetches_nothing(folder):
    html = page(folder)
    assert not re.findall(r"""<(?:script|link|iframe)|url\(|(?:src|href)=["'](?!data:image|#|[\w.]+["'])""", html)


def test_what_is_set_for_all_chapters_heads_the_page_and_names_are_escaped(folder):
    html = page(folder)
    assert "<h1>market, seed 0</h1>" in html and "Behaviour &lt;data&gt;" in html and "Behaviour <data>" not in html
    assert "numpy 2.4" in html and "2026-01-01 10:20 UTC" in html


def test_it_can_be_written_again(folder):
    assert page(folder) == page(folder)


@pytest.mark.parametrize("value, seen", [("0", "0"), ("-1234.0", "-1,234"), ("1e-07", "1e-07"), ("nan", "nan"), ("inf", "inf"),
                                         ("True", "True"), ("2010-12-01", "2010-12-01"), ("0.30000000000000004", "0.3")])
def test_values_are_shown_as_a_person_reads_them(value, seen):
    assert report.shown(value) == seen
