"""Every case keeps the house rules, runs small with another seed, and measures itself where nobody compares it.

Stored outputs on the committed parameters, the reduced size, are compared by ``pytest --nbval`` (see `make test`); the full
size is run by `make cases`.
"""

import re

import papermill
import pytest

from recsys_kit.guard import problems
from recsys_kit.runs.chapters import find_cases
from tests.notebooks import house
from tests.notebooks.house import NOTEBOOKS, VERDICTS, rows, run, said

CASES = find_cases(NOTEBOOKS)
MEASURED = {"seconds": "seconds", "peak_mb": "MB"}
MARKETS = {"case-3": "market"}  # the others have a market of their own

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def market_of(case):
    return MARKETS.get(case.number, f"market-{case.number}")


def recorded_units(path):
    """Unit of every name that is recorded as a plain text; "" without one."""
    units = {}
    for call in house.calls(path, "record"):
        name = getattr(call.args[0], "value", None)
        unit = [word.value.value for word in call.keywords if word.arg == "unit"] + [more.value for more in call.args[2:]]
        units[name] = unit[0] if unit else ""
    return units


def test_the_folder_holds_cases_numbered_from_one_and_nothing_else():
    assert [case.path for case in CASES] == sorted((NOTEBOOKS / "cases").glob("*.ipynb"))
    assert [case.number for case in CASES] == [f"case-{number}" for number in range(1, len(CASES) + 1)]


@each_case
def test_nbval_can_vouch_for_the_case(case):
    assert problems(case.path, chapter=True) == []


@each_case
def test_the_committed_parameters_are_those_that_setup_knows_and_are_the_reduced_size(case):
    house.keeps_its_parameters(case.path, case.number)
    given = house.parameters(case.path)
    assert given["dataset"] == market_of(case) and given["seed"] == 0
    assert 0 < given["max_users"] <= 5_000


@each_case
def test_no_result_is_typed_into_the_prose(case):
    house.has_no_result_in_its_prose(case.path)


@each_case
def test_a_case_promises_warns_and_answers_and_binds_its_claims(case):
    house.promises_warns_and_answers(case.path, "In this case you will")


@each_case
def test_time_and_memory_are_recorded_with_their_units_and_never_said(case):
    units = recorded_units(case.path)
    assert MEASURED.items() <= units.items()
    timed = [name for name, unit in units.items() if unit in ("seconds", "MB")]
    sentences = " ".join(word.value for call in house.calls(case.path, "say") for word in house.texts(call))
    assert [name for name in timed if re.search(rf"\{{{name}[:}}]", sentences)] == []


@each_case
def test_a_case_runs_small_with_another_seed_and_reports_its_claims(case, tmp_path):
    executed, ledger, claims = run(case.path, tmp_path / "out", seed=1, max_users=300)
    assert {(row["chapter"], row["dataset"], row["seed"]) for row in ledger} == {(case.number, market_of(case), "1")}
    assert {row["verdict"] for row in claims} <= VERDICTS and len(claims) >= 3
    house.has_no_missing_number(executed, ledger)
    assert "claims are reported, not required" in executed.read_text(encoding="utf-8")


@each_case
def test_a_claim_turned_round_stops_the_case_at_its_committed_size(case, tmp_path):
    claim = house.turn_first_claim_round(case.path, tmp_path / case.path.name)
    with pytest.raises(papermill.PapermillExecutionError, match="ClaimError") as raised:
        run(tmp_path / case.path.name, tmp_path / "out")
    assert claim in str(raised.value)
    assert rows(tmp_path / "out" / "claims.csv")[-1]["verdict"] == "does not hold"


@each_case
def test_a_case_on_a_data_set_without_truth_says_so(case, tmp_path):
    rows_ = [f"u{user},i{(7 * user + 3 * step) % 30},click,2024-03-{1 + step % 3:02} {(user + step) % 24:02}:{step:02}:00"
             for user in range(400) for step in range(1 + user % 9)]
    (tmp_path / "clicks.csv").write_text("\n".join(["user_id,item_id,behaviour,timestamp", *rows_]), encoding="utf-8")
    executed, ledger, claims = run(case.path, tmp_path / "out", dataset=str(tmp_path / "clicks.csv"))
    assert "needs known truth" in {row["verdict"] for row in claims}
    house.has_no_missing_number(executed, ledger)
    assert said(executed).count("truth") >= 1
