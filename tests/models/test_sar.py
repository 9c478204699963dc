"""SAR: affinities fade and add up, similarity is Jaccard's, and an earlier moment knows nothing later."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.models.sar import SAR
from tests.models.conformance import RankerConformance, history
from tests.models.test_neighbours import rated


class TestSAR(RankerConformance):
    def make(self):
        return SAR()


def literal(table: pd.DataFrame, half_life: float | None, at_least: int = 1) -> pd.DataFrame:
    """Scores of all users by the formula, in plain loops."""
    users, items = sorted(table["user_id"].unique()), sorted(table["item_id"].unique())
    now, affinity, who = table["timestamp"].max(), {}, {item: set() for item in items}
    for row in table.itertuples():
        stars = getattr(row, "rating", np.nan)
        fade = 1 if half_life is None else 0.5 ** ((now - row.timestamp) / pd.Timedelta(days=half_life))
        affinity[row.user_id, row.item_id] = affinity.get((row.user_id, row.item_id), 0) + (1 if np.isnan(stars) else stars) * fade
        who[row.item_id].add(row.user_id)
    similar = pd.DataFrame({i: {j: len(who[i] & who[j]) / len(who[i] | who[j]) if len(who[i] & who[j]) >= at_least else 0.0
                                for j in items} for i in items})
    mine = pd.DataFrame([[affinity.get((user, item), 0.0) for item in items] for user in users], index=users, columns=items)
    return mine @ similar


@pytest.mark.parametrize("half_life", [30, 2, None])
def test_scores_are_those_of_a_literal_loop(half_life):
    table = rated()
    expected = literal(table, half_life)
    assert np.allclose(SAR(half_life).fit(table).score(expected.index), expected)


def test_pairs_with_too_few_common_users_are_not_similar():
    table = history()
    assert np.allclose(SAR(at_least=4).fit(table).score(["u01", "u02"]), literal(table, 30, at_least=4).loc[["u01", "u02"]])
    assert not np.allclose(SAR(at_least=4).fit(table).score(["u01"]), SAR().fit(table).score(["u01"]))


def test_asked_for_an_earlier_moment_it_is_the_model_of_that_moment():
    table = rated()
    moment = table["timestamp"].iloc[200]
    early = SAR(7).fit(table[table["timestamp"] < moment], items=table[["item_id"]].drop_duplicates())
    users = sorted(table["user_id"].unique())
    assert np.allclose(SAR(7).fit(table).score(users, at=moment), early.score(users), equal_nan=True)


def test_a_moment_after_the_last_event_changes_no_list():
    model = SAR(7).fit(history())
    pd.testing.assert_frame_equal(model.recommend(["u01"], 5, at="2025-01-01"), model.recommend(["u01"], 5))


def test_unknown_users_get_no_list():
    assert SAR().fit(history()).recommend(["nobody"], 5).empty


@pytest.mark.parametrize("wrong", [{"half_life_days": 0}, {"half_life_days": float("nan")}, {"at_least": 0}], ids=str)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SAR(**wrong)
