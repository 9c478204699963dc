"""Every chapter keeps the house rules, runs with another seed and on real data, and gives the same numbers twice.

Stored outputs on the committed defaults are compared by ``pytest --nbval`` (see `make test`), not here.
"""

import os
import re
import shutil
import subprocess
import sys

import papermill
import pytest

from recsys_kit.guard import problems
from recsys_kit.notebook import DEFAULTS
from tests.notebooks import house
from tests.notebooks.house import NOTEBOOKS, VERDICTS, rows, run, said

CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))

# The real set on which a chapter is run here; all chapters run on every set, which `make course DATASET=` shows in minutes.
REAL = {"05": "retailrocket-bench", "07": "movielens-100k", "08": "retailrocket-bench", "13": "online-retail",
        "14": "online-retail"}

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


def test_there_are_chapters_and_each_has_a_number_of_its_own():
    # numbers follow the plan of the course, in which a chapter may still be missing: there are gaps, and no number twice
    numbers = [re.fullmatch(r"(\d\d)_[a-z0-9_]+", path.stem)[1] for path in CHAPTERS]
    assert numbers == sorted(set(numbers)) and numbers[0] == "01"
    assert len(CHAPTERS) >= 2


@each_chapter
def test_a_chapters_title_and_sections_carry_its_number(chapter):
    number = int(chapter.name[:2])
    headings = re.findall(r"^#{1,2} (\d+)(?:\.(\d+))? ", house.prose(chapter), re.MULTILINE)
    assert headings[0] == (str(number), "")
    assert headings[1:] == [(str(number), str(section)) for section in range(1, len(headings))]


@each_chapter
def test_nbval_can_vouch_for_the_chapter(chapter):
    assert problems(chapter, chapter=True) == []


@each_chapter
def test_the_parameters_are_typed_and_their_defaults_are_the_ones_that_setup_knows(chapter):
    house.keeps_its_parameters(chapter, chapter.name[:2])
    assert DEFAULTS.items() <= house.parameters(chapter).items()


@each_chapter
def test_no_result_is_typed_into_the_prose(chapter):
    house.has_no_result_in_its_prose(chapter)


@each_chapter
def test_a_chapter_promises_warns_and_answers_and_binds_its_claims(chapter):
    house.promises_warns_and_answers(chapter, "In this chapter you will")


@pytest.fixture(scope="module")
def other_seed(tmp_path_factory):
    """Each chapter's run with another seed, made when it is first asked for."""
    done = {}

    def get(chapter):
        if chapter not in done:
            done[chapter] = run(chapter, tmp_path_factory.mktemp("seed") / chapter.stem, seed=1)
        return done[chapter]
    return get


@each_chapter
def test_a_chapter_runs_with_another_seed_and_reports_its_claims(chapter, other_seed):
    _, ledger, claims = other_seed(chapter)
    assert {(row["chapter"], row["dataset"], row["seed"]) for row in ledger} == {(chapter.name[:2], "market", "1")}
    assert {row["verdict"] for row in claims} <= VERDICTS and len(claims) >= 3


@each_chapter
def test_a_log_of_one_behaviour_in_which_nothing_comes_again_gets_sentences_and_no_missing_numbers(chapter, tmp_path):
    # three days of ratings: each user rates each item once, as in a data set of films
    rows_ = [(f"u{user}", f"i{(7 * user + 3 * day + step * step) % 30}", day, user, step)
             for user in range(40) for day in range(3) for step in range(1 + user % 5)]
    lines = [f"{user},{item},rate,2024-03-{1 + day:02} {number % 24:02}:{step:02}:00" for user, item, day, number, step
             in {(row[0], row[1]): row for row in rows_}.values()]
    (tmp_path / "films.csv").write_text("\n".join(["user_id,item_id,behaviour,timestamp", *lines]), encoding="utf-8")
    executed, ledger, _ = run(chapter, tmp_path / "out", dataset=str(tmp_path / "films.csv"))
    house.has_no_missing_number(executed, ledger)
    assert "nothing was planted" in said(executed) or "no funnel to measure" in said(executed)


# One chapter, the newest, stands for all here: what every chapter prints on the defaults is compared by nbval anyway.
@pytest.mark.parametrize("chapter", CHAPTERS[-1:], ids=lambda path: path.stem)
def test_the_same_seed_gives_the_same_ledger_twice_and_output_that_nbval_confirms(chapter, other_seed, tmp_path):
    executed, ledger, claims = other_seed(chapter)
    shutil.copy(NOTEBOOKS.parent / "conftest.py", tmp_path)
    shutil.copy(executed, tmp_path)
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), executed.name],
        env=os.environ | {"RECSYS_KIT_LEDGER": str(tmp_path / "ledger.csv")}, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout
    assert rows(tmp_path / "ledger.csv") == ledger
    assert rows(tmp_path / "claims.csv") == claims


@each_chapter
def test_a_chapter_runs_on_real_data(chapter, tmp_path):
    dataset = REAL.get(chapter.name[:2], "online-retail")
    house.needs(dataset)
    executed, ledger, claims = run(chapter, tmp_path / "real", dataset=dataset, max_users=300)
    assert {row["dataset"] for row in ledger} == {dataset}
    assert {row["verdict"] for row in claims} <= VERDICTS and len(claims) >= 3
    assert "holds" in {row["verdict"] for row in claims}
    house.has_no_missing_number(executed, ledger)


@each_chapter
def test_a_claim_turned_round_stops_the_chapter_on_the_defaults(chapter, tmp_path):
    claim = house.turn_first_claim_round(chapter, tmp_path / chapter.name)
    with pytest.raises(papermill.PapermillExecutionError, match="ClaimError") as raised:
        run(tmp_path / chapter.name, tmp_path / "out")
    assert claim in str(raised.value)
    assert rows(tmp_path / "out" / "claims.csv")[-1]["verdict"] == "does not hold"
