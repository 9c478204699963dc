"""The papers' cards at work: only a full run on the committed parameters keeps a result, and what is old is called stale."""

import io
import json
import re
import shutil
from dataclasses import replace

import nbformat
import pandas as pd
import pytest

from recsys_kit.__main__ import main
from recsys_kit.data import published
from recsys_kit.runs import chapters, papers, runner
from recsys_kit.runs import manifest as manifests
from recsys_kit.runs.chapters import UsageError
from tests.runs.test_runner import write as write_chapter

PARAMETERS = 'dataset = "gowalla-lightgcn"\ncolumns = {}\nseed = 0\nmax_users = 0'
SETUP = """from recsys_kit.cards import Card
from recsys_kit.models.popularity import Popularity
from recsys_kit.notebook import record, setup
setup("paper-{}", dataset=dataset, columns=columns, seed=seed, max_users=max_users, own=dict(dataset=(dataset, "gowalla-lightgcn")))
record("fingerprint", "abc123")"""
TABLE = """card = Card(["recall@20", "ndcg@20"])
published = {{"recall@20": 0.1849, "ndcg@20": 0.1518}}
card.rerun("GF-CF", published=published, ours={{"recall@20": {}, "ndcg@20": 0.15177}}, within=0.0005)
card.quote("LightGCN", published={{"recall@20": 0.182, "ndcg@20": 0.1547}})
card.table()
card.reproduced()"""


def write_card(folder, name, *sources, words="A short claim. *More* of it."):
    cells = [nbformat.v4.new_markdown_cell(f"# Title of {name}\n\n{words}\n\nSource: a paper."),
             nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
             nbformat.v4.new_code_cell(SETUP.format(name.replace("_", "-"))), *map(nbformat.v4.new_code_cell, sources)]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    (folder / "papers").mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "papers" / f"{name}.ipynb")


README = f"# Kit\n\nBefore.\n\n{papers.BEGIN}\n{papers.END}\n\nAfter.\n"


def at(place):
    """A function that runs a command line in that folder and returns (status, output, errors)."""
    def say(capsys, *words):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.setattr(chapters, "FOLDER", place / "notebooks")
            status = main(list(words))
        return status, *capsys.readouterr()
    return say


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a chapter and three cards: `good`, `off` by more than its tolerance, and `fails`; after `make papers`."""
    place = tmp_path_factory.mktemp("papers")
    write_chapter(place / "notebooks", "01_first", "pass")
    write_card(place / "notebooks", "good", TABLE.format(0.1851))
    write_card(place / "notebooks", "off", TABLE.format(0.1860))
    write_card(place / "notebooks", "fails", TABLE.format(0.1849), "1 / 0")
    (place / "README.md").write_text(README, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(chapters, "FOLDER", place / "notebooks")
        with open("said", "w") as said:
            patch.setattr("sys.stdout", said)
            (place / "status").write_text(str(main(["papers", "--run", "full"])))
    return place


@pytest.fixture
def copy(place, tmp_path):
    """The same, to be changed."""
    shutil.copytree(place, tmp_path / "copy")
    return tmp_path / "copy"


def results(place):
    return sorted(path.name for path in (place / "notebooks" / "papers" / "results").iterdir())


def notebooks(place):
    return place / "notebooks"


# Found ------------------------------------------------------------------------------------------------------------------

def test_cards_are_found_by_name_number_or_path_and_are_no_chapters(place):
    found = chapters.find_papers(notebooks(place))
    assert [(card.number, card.kind, str(card)) for card in found] == [
        ("paper-fails", "card", "card fails"), ("paper-good", "card", "card good"), ("paper-off", "card", "card off")]
    for name in ("good", "paper-good", "good.ipynb", "notebooks/papers/good.ipynb"):
        assert chapters.get_paper(name, notebooks(place)) == chapters.get(name, notebooks(place)) == found[1]
    assert [chapter.kind for chapter in chapters.find(notebooks(place))] == ["chapter"]
    with pytest.raises(UsageError, match="there is no card 'god'; did you mean 'good'"):
        chapters.get_paper("god", notebooks(place))
    with pytest.raises(UsageError, match="card good has no parameter 'sed'"):
        found[1].values({"sed": 1})


def test_underscores_of_a_name_are_dashes_in_its_number(tmp_path):
    write_card(tmp_path, "ncf_ml1m")
    [card] = chapters.find_papers(tmp_path)
    assert card.number == "paper-ncf-ml1m" and str(card) == "card ncf_ml1m"


def test_a_folder_without_cards_has_none_and_says_so(tmp_path):
    assert chapters.find_papers(tmp_path) == []
    with pytest.raises(UsageError, match="no cards"):
        chapters.get_paper("good", tmp_path)


def test_the_claim_is_the_first_sentence_under_the_title(tmp_path):
    said = {"A short claim. *More* of it.": "A short claim.",
            "One vs. two, .1849 is\nbetter.\n\nNext.": "One vs. two, .1849 is better.",
            "> **Quoted** claim.": "Quoted claim.",
            "*The claim: on a split, it holds. So*": "On a split, it holds.",
            "*A hook. More.*\n\n**Claim under test.** Doe et al. (2021, table 4): it\nholds. Always.\n\nSource.":
                "Doe et al. (2021, table 4): it holds."}
    for words, claim in said.items():
        write_card(tmp_path, "a", words=words)
        assert papers.claim(chapters.find_papers(tmp_path)[0]) == claim


# Kept -------------------------------------------------------------------------------------------------------------------

def test_a_full_run_keeps_the_table_of_each_finished_card_and_nothing_of_one_that_failed(place):
    assert results(place) == ["good.csv", "good.json", "off.csv", "off.json"]
    assert (notebooks(place) / "papers" / "results" / "good.csv").read_text() == (
        "row,metric,published,ours,within,verdict\n"
        "GF-CF,recall@20,0.1849,0.1851,0.0005,reproduced\nGF-CF,ndcg@20,0.1518,0.15177,0.0005,reproduced\n"
        "LightGCN,recall@20,0.182,,,published only\nLightGCN,ndcg@20,0.1547,,,published only\n")
    off = pd.read_csv(notebooks(place) / "papers" / "results" / "off.csv")
    assert list(off["verdict"][:2]) == ["not reproduced", "reproduced"]


def test_beside_the_table_stands_where_it_comes_from(place):
    about = json.loads((notebooks(place) / "papers" / "results" / "good.json").read_text())
    assert about["claim"] == "A short claim." and about["reproduced"] is True and about["seconds"] > 0
    assert about["data"] == {"fingerprint": "abc123", "in the catalogue": published.SPLITS["gowalla-lightgcn"].fingerprint}
    assert {"models/popularity.py", "models/base.py", "schema.py"} <= set(about["code"])
    assert not [name for name in about["code"] if name.startswith(("runs/", "strata/", "models/ease"))]
    assert about["parameters"] == {"dataset": "gowalla-lightgcn", "columns": {}, "seed": 0, "max_users": 0}
    assert "numpy" in about["packages"] and re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"])
    assert str(place) not in str(about)


def test_the_run_says_what_was_kept_shows_every_table_and_fails_because_of_the_bad_ones(place):
    said = (place / "said").read_text()
    assert (place / "status").read_text() == "1"
    for line in ("fails: nothing written: it is failed", "good: written to results/good.csv", "Card good: Title of good",
                 "off: not reproduced", "1 of 3 cards failed", "make papers RUN=full"):
        assert line in said, line
    assert re.search(r"GF-CF +0\.1849 +0\.1851 +0\.1518 +0\.1518 +0\.00020 +0\.0005 +reproduced", said)


def test_the_readmes_table_is_written_between_its_markers_and_nowhere_else(place):
    text = (place / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# Kit\n\nBefore.\n\n") and text.endswith("\n\nAfter.\n")
    table = text.split(papers.BEGIN)[1].split(papers.END)[0].strip()
    assert table == papers.readme_table(notebooks(place))
    fails, good, off = table.replace("\u00a0", " ").splitlines()[2:]
    assert good.startswith("| [good](notebooks/papers/good.ipynb) | A short claim. | *recall@20 / ndcg@20*<br>GF-CF | "
                           "&nbsp;<br>0.1849 / 0.1518 | &nbsp;<br>0.1851 / 0.1518 | **reproduced** within 0.0005 |")
    assert "| **not reproduced** within 0.0005: GF-CF |" in off
    assert fails.endswith("| not run yet | |")


def test_the_table_can_be_written_again_and_is_the_same(copy, capsys):
    before = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(before.replace("0.1851", "0.9"), encoding="utf-8")
    assert at(copy)(capsys, "papers", "--table")[1].strip() == papers.readme_table(notebooks(copy))
    assert (copy / "README.md").read_text(encoding="utf-8") == before


def test_a_readme_without_markers_is_left_alone(copy):
    (copy / "README.md").write_text("# Mine\n")
    assert not papers.write_readme(notebooks(copy))
    assert (copy / "README.md").read_text() == "# Mine\n"


def test_a_card_on_other_data_shows_its_table_and_keeps_nothing(copy, capsys):
    shutil.rmtree(notebooks(copy) / "papers" / "results")
    status, said, _ = at(copy)(capsys, "paper", "off", "-p", "dataset=market", "--run", "small")
    assert status == 0 and "No result was kept" in said
    assert re.search(r"GF-CF .* other data", said) and re.search(r"LightGCN .* published only", said)
    assert papers.keep(copy / "runs" / "small", notebooks(copy)) == {"off": "nothing written: it was run with another dataset"}
    assert not (notebooks(copy) / "papers" / "results").exists()


def test_a_card_alone_on_its_own_data_shows_its_table_and_keeps_nothing(copy, capsys):
    shutil.rmtree(notebooks(copy) / "papers" / "results")
    status, said, _ = at(copy)(capsys, "paper", "good")
    assert status == 0 and re.search(r"GF-CF .* reproduced", said) and "No result was kept" in said
    assert not (notebooks(copy) / "papers" / "results").exists()


def test_a_run_of_cards_is_gone_on_with_and_what_was_done_is_not_run_again(copy, capsys, monkeypatch):
    code = manifests.read(copy / "runs" / "full")["kit"]["code"]  # a file saved while the tests run is not their business
    monkeypatch.setattr(manifests, "code", lambda: code)
    write_card(notebooks(copy), "fails", TABLE.format(0.1849))
    status, said, _ = at(copy)(capsys, "papers", "--run", "full")
    assert "Run full: 1 card (2 done before)" in said and "fails: written to results/fails.csv" in said
    assert status == 1 and "fails: reproduced" in said  # `off` is still not reproduced
    assert "fails.csv" in results(copy)


def test_nothing_is_kept_of_a_card_whose_cells_have_changed_since_the_run(copy):
    write_card(notebooks(copy), "good", TABLE.format(0.1849))
    assert papers.keep(copy / "runs" / "full", notebooks(copy))["good"] == "nothing written: its cells have changed since"


def test_a_card_that_never_asks_whether_it_is_reproduced_keeps_nothing(copy):
    (copy / "runs" / "full" / "parts" / "code-good.json").unlink()
    assert "card.reproduced()" in papers.keep(copy / "runs" / "full", notebooks(copy))["good"]


# Stale ------------------------------------------------------------------------------------------------------------------

@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the kit, as the code that results are compared with."""
    shutil.copytree(manifests.PACKAGE, tmp_path / "recsys_kit", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(manifests, "PACKAGE", tmp_path / "recsys_kit")
    return tmp_path / "recsys_kit"


def why_stale(place):
    """What makes each card stale, by its name; files of the kit that were saved while the tests ran are left to themselves."""
    return {line["card"]: line["stale"] for line in papers.status(notebooks(place))}


def as_new(place):
    """Let the kept results be of the code as it is: other tests' notebooks may have been run before a file was saved."""
    for path in (notebooks(place) / "papers" / "results").glob("*.json"):
        about = json.loads(path.read_text())
        about["code"] = {name: papers.cards.fingerprint_of(manifests.PACKAGE / name) for name in about["code"]}
        path.write_text(json.dumps(about))


def append(path, text):
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_a_result_is_stale_once_code_it_used_does_something_else(copy, package):
    as_new(copy)
    assert why_stale(copy) == {"fails": [], "good": [], "off": []}
    append(package / "models" / "popularity.py", "\n# a comment\n")
    append(package / "models" / "sar.py", "\nLATER = 1\n")  # not used by these cards
    assert why_stale(copy) == {"fails": [], "good": [], "off": []}
    append(package / "models" / "popularity.py", "\nLATER = 1\n")
    assert why_stale(copy) == {"fails": [], "good": ["recsys_kit/models/popularity.py"], "off": ["recsys_kit/models/popularity.py"]}
    (package / "schema.py").unlink()
    assert "recsys_kit/schema.py" in why_stale(copy)["good"]


def test_a_result_is_stale_once_its_cells_or_its_data_are_others_and_words_do_not_matter(copy, package, monkeypatch):
    as_new(copy)
    write_card(notebooks(copy), "good", TABLE.format(0.1851).replace("card.table()", "card.table()  # shown"), words="Other words.")
    assert why_stale(copy)["good"] == []
    write_card(notebooks(copy), "good", TABLE.format(0.1852))
    assert why_stale(copy)["good"] == ["good.ipynb"] and why_stale(copy)["off"] == []
    split = replace(published.SPLITS["gowalla-lightgcn"], fingerprint="other")
    monkeypatch.setitem(published.SPLITS, "gowalla-lightgcn", split)
    assert why_stale(copy)["off"] == ["the data set gowalla-lightgcn"]


def test_the_status_says_verdict_date_time_and_what_is_stale(copy, package, capsys):
    as_new(copy)
    append(package / "models" / "popularity.py", "\nLATER = 1\n")
    status, said, _ = at(copy)(capsys, "papers", "--status")
    fails, good, off = said.splitlines()
    assert status == 0 and fails == "fails: not run yet"
    assert re.fullmatch(r"good: reproduced, \d{4}-\d\d-\d\d, \d+ s; STALE, changed since: recsys_kit/models/popularity.py", good)
    assert off.startswith("off: not reproduced, ")


# On the page ------------------------------------------------------------------------------------------------------------

def text_of(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_page_of_a_run_of_cards_shows_each_table_and_calls_them_cards(place):
    html = (place / "runs" / "full" / "index.html").read_text(encoding="utf-8")
    text = text_of(html)
    assert "recsys_kit · papers run" in text and "2 of 3 cards done" in text
    assert "GF-CF 0.1849 0.1851 0.1518 0.1518 0.00020 0.0005 reproduced" in text
    assert "GF-CF 0.1849 0.1860 0.1518 0.1518 0.00110 0.0005 not reproduced" in text
    assert "LightGCN 0.1820 – 0.1547 – – – published only" in text
    assert "GF-CF/recall@20/ours" not in html  # stands in the table


def test_the_page_of_a_course_shows_what_is_kept_of_the_cards_and_marks_the_stale(copy, package, monkeypatch):
    as_new(copy)
    append(package / "models" / "popularity.py", "\nLATER = 1\n")
    monkeypatch.setattr(chapters, "FOLDER", notebooks(copy))
    folder = runner.run(run_id="course", out=copy / "runs", notebooks=notebooks(copy), stream=io.StringIO())
    text = text_of((folder / "index.html").read_text(encoding="utf-8"))
    assert "Published tables" in text and "1 of 1 chapters done" in text
    assert re.search(r"Title of good reproduced \d{4}-\d\d-\d\d \d+ s stale recsys_kit/models/popularity.py", text)
    assert "Title of fails" not in text
