"""Chapters are found by number or name; their parameters are read from the notebook, typed, and checked."""

import nbformat
import pytest

from recsys_kit.runs import chapters
from recsys_kit.runs.chapters import UsageError

PARAMETERS = """dataset = "market"  # str: a name
columns = {}         # dict
seed = 0
share = 0.2
quick: bool = True
cuts = [
    1, 2,
]"""


@pytest.fixture
def folder(tmp_path):
    for name, tag in (("01_first.ipynb", "parameters"), ("02_second.ipynb", "parameters"), ("notes.ipynb", "other")):
        code = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": [tag]})
        text = nbformat.v4.new_markdown_cell(f"Words.\n\n# {name[1:2]} Title of {name[:2]}\n## Below")
        nbformat.write(nbformat.v4.new_notebook(cells=[text, code]), tmp_path / name)
    return tmp_path


def test_chapters_are_the_numbered_notebooks_titled_by_their_first_heading(folder):
    assert [(chapter.number, chapter.title) for chapter in chapters.find(folder)] == [("01", "Title of 01"), ("02", "Title of 02")]


@pytest.mark.parametrize("name", ["2", "02", "02_second", "02_second.ipynb", "notebooks/02_second.ipynb"])
def test_a_chapter_is_found_by_number_name_or_path(folder, name):
    assert chapters.get(name, folder).path == folder / "02_second.ipynb"


def test_an_unknown_chapter_is_refused_with_the_nearest_one(folder):
    with pytest.raises(UsageError, match="no chapter '02_secnd'; did you mean '02_second'"):
        chapters.get("02_secnd", folder)


@pytest.fixture
def with_cases(folder):
    (folder / "cases").mkdir()
    for name in ("case_10_large.ipynb", "case_2_small.ipynb", "notes.ipynb"):
        text = nbformat.v4.new_markdown_cell(f"# Case {name[5:7].strip('_')} Title of {name}")
        code = nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[text, code]), folder / "cases" / name)
    return folder


def test_cases_are_listed_apart_in_the_order_of_their_numbers(with_cases):
    found = chapters.find_cases(with_cases)
    assert [(case.number, case.title) for case in found] == [("case-2", "Title of case_2_small.ipynb"),
                                                             ("case-10", "Title of case_10_large.ipynb")]
    assert {case.kind for case in found} == {"case"}
    assert [chapter.number for chapter in chapters.find(with_cases) if chapter.kind == "chapter"] == ["01", "02"]


def test_a_folder_without_cases_has_none(folder):
    assert chapters.find_cases(folder) == []


@pytest.mark.parametrize("name", ["case-2", "case_2_small", "case_2_small.ipynb", "notebooks/cases/case_2_small.ipynb"])
def test_a_case_is_found_by_number_name_or_path_and_2_is_still_the_chapter(with_cases, name):
    assert chapters.get(name, with_cases).path == with_cases / "cases" / "case_2_small.ipynb"
    assert chapters.get("2", with_cases).path == with_cases / "02_second.ipynb"


def test_mistakes_about_cases_are_told_as_such(with_cases):
    with pytest.raises(UsageError, match="did you mean 'case_2_small'"):
        chapters.get("case_2_smal", with_cases)
    with pytest.raises(UsageError, match="^case 2 has no parameter 'sed'; did you mean 'seed'"):
        chapters.get("case-2", with_cases).values({"sed": 1})


def test_a_folder_without_chapters_says_so(tmp_path):
    with pytest.raises(UsageError, match="no chapters"):
        chapters.find(tmp_path)


def test_defaults_are_the_values_of_the_parameters_cell(folder):
    assert chapters.get("1", folder).defaults() == {"dataset": "market", "columns": {}, "seed": 0, "share": 0.2, "quick": True,
                                                    "cuts": [1, 2]}


def test_text_is_read_as_the_type_of_the_default(folder):
    given = {"dataset": "7", "columns": '{"user_id": "uid"}', "seed": "7", "share": "1", "quick": "no", "cuts": "[3]"}
    values = chapters.get("1", folder).values(given)
    assert values == {"dataset": "7", "columns": {"user_id": "uid"}, "seed": 7, "share": 1.0, "quick": False, "cuts": [3]}
    assert type(values["share"]) is float


def test_what_is_not_given_keeps_its_default(folder):
    assert chapters.get("1", folder).values({"seed": 3})["share"] == 0.2


def test_an_unknown_parameter_is_refused_with_the_nearest_one(folder):
    with pytest.raises(UsageError, match="chapter 01 has no parameter 'sed'; did you mean 'seed'"):
        chapters.get("1", folder).values({"sed": 1})


@pytest.mark.parametrize("name, value", [("seed", "1.5"), ("seed", True), ("share", "much"), ("quick", "perhaps"), ("quick", 1),
                                         ("columns", "{user_id: uid}"), ("columns", "[1]"), ("cuts", "{}"), ("dataset", 3)])
def test_a_value_of_another_type_is_refused_by_name(folder, name, value):
    with pytest.raises(UsageError, match=f"parameter '{name}' takes"):
        chapters.get("1", folder).values({name: value})


def test_a_chapter_without_a_parameters_cell_says_so(folder):
    (folder / "notes.ipynb").rename(folder / "03_notes.ipynb")
    with pytest.raises(UsageError, match="03_notes.ipynb: 0 cells are tagged 'parameters'"):
        chapters.get("3", folder).defaults()


def test_a_parameter_that_is_computed_is_refused_with_its_line(folder):
    cell = nbformat.v4.new_code_cell("seed = 0\nnow = time()", metadata={"tags": ["parameters"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "03_computed.ipynb")
    with pytest.raises(UsageError, match="line 2 of the parameters cell"):
        chapters.get("3", folder).defaults()


def test_a_broken_notebook_is_named(folder):
    (folder / "03_cut.ipynb").write_text('{"cells": [')
    with pytest.raises(UsageError, match="03_cut.ipynb is not a notebook"):
        chapters.find(folder)
