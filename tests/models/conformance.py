"""What every ranker promises. A model's test class inherits this and says how to make one: ``make()``."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.models.base import NotFittedError
from recsys_kit.schema import SchemaError


def history(rng=0, users=30, items=20, events=400) -> pd.DataFrame:
    """A small random history with popular and rare items."""
    rng = np.random.default_rng(rng)
    return pd.DataFrame({"user_id": [f"u{n:02d}" for n in rng.integers(0, users, events)],
                         "item_id": [f"i{n:02d}" for n in (items * rng.random(events) ** 2).astype(int)],
                         "behaviour": rng.choice(["view", "purchase"], events),
                         "timestamp": pd.Timestamp(2024, 1, 1) + pd.to_timedelta(np.sort(rng.integers(0, 2160, events)), "h")})


class RankerConformance:
    """Inherit and define ``make()``; override nothing else."""

    def make(self):
        raise NotImplementedError

    @pytest.fixture
    def fitted(self):
        return self.make().fit(history())

    def test_fit_returns_the_model(self):
        model = self.make()
        assert model.fit(history()) is model

    def test_before_fit_it_says_so(self):
        for ask in (lambda m: m.recommend(["u01"], 3), lambda m: m.score(["u01"])):
            with pytest.raises(NotFittedError, match="call fit"):
                ask(self.make())

    def test_lists_have_the_common_columns_ranks_from_one_and_no_doubles(self, fitted):
        lists = fitted.recommend(["u03", "u01"], 5)
        assert lists.columns.tolist() == ["user_id", "item_id", "score", "rank"]
        assert lists["user_id"].unique().tolist() == ["u03", "u01"]
        assert lists.groupby("user_id")["rank"].apply(list).map(lambda r: r == list(range(1, len(r) + 1))).all()
        assert not lists.duplicated(["user_id", "item_id"]).any()
        assert (lists.groupby("user_id")["score"].diff().dropna() <= 0).all()

    def test_lists_are_the_best_scores_with_ties_by_item_id(self, fitted):
        scores = pd.Series(fitted.score(["u04"])[0], index=fitted.items_)
        expected = scores.sort_index().sort_values(ascending=False, kind="stable").head(7)
        lists = fitted.recommend(["u04"], 7, exclude_seen=False)
        assert lists["item_id"].tolist() == expected.index.tolist() and lists["score"].tolist() == expected.tolist()

    def test_seen_items_are_left_out_unless_asked_for(self, fitted):
        seen = set(history().query("user_id == 'u05'")["item_id"])
        assert not seen & set(fitted.recommend(["u05"], 20)["item_id"])
        assert seen & set(fitted.recommend(["u05"], 20, exclude_seen=False)["item_id"])

    def test_scores_have_a_row_per_user_and_a_column_per_item(self, fitted):
        assert fitted.score(["u01", "u02", "nobody"]).shape == (3, history()["item_id"].nunique())

    def test_k_beyond_the_catalogue_gives_a_shorter_list(self, fitted):
        assert 0 < len(fitted.recommend(["u01"], 10_000, exclude_seen=False)) <= len(fitted.items_)

    def test_k_below_one_and_a_user_named_twice_are_refused(self, fitted):
        with pytest.raises(ValueError, match="at least one"):
            fitted.recommend(["u01"], 0)
        with pytest.raises(ValueError, match="twice"):
            fitted.recommend(["u01", "u01"], 3)

    def test_an_unknown_user_gets_a_list_or_nothing_but_no_error_and_no_nan(self, fitted):
        lists = fitted.recommend(["nobody"], 5)
        assert len(lists) <= 5 and lists["score"].notna().all()

    def test_no_users_no_rows(self, fitted):
        assert fitted.recommend([], 5).columns.tolist() == ["user_id", "item_id", "score", "rank"]

    def test_empty_history_is_refused(self):
        with pytest.raises(SchemaError, match="no rows"):
            self.make().fit(history().head(0))

    def test_duplicate_events_are_learned_as_they_stand(self):
        doubled = pd.concat([history(), history()], ignore_index=True)
        assert len(self.make().fit(doubled).recommend(["u01"], 5)) == 5

    def test_an_item_nobody_touched_is_in_the_catalogue_when_named(self):
        model = self.make().fit(history(), items=pd.DataFrame({"item_id": ["new"]}))
        assert "new" in model.items_ and model.score(["u01"]).shape[1] == len(model.items_)

    def test_fitting_and_asking_change_no_table(self):
        table = history()
        before = table.copy(deep=True)
        self.make().fit(table).recommend(["u01"], 3)
        pd.testing.assert_frame_equal(table, before)

    def test_same_fit_same_list(self, fitted):
        users = sorted(history()["user_id"].unique())
        pd.testing.assert_frame_equal(self.make().fit(history()).recommend(users, 5), fitted.recommend(users, 5))

    def test_the_order_of_the_rows_of_one_history_does_not_matter(self, fitted):
        shuffled = history().sample(frac=1, random_state=2)
        assert np.allclose(self.make().fit(shuffled).score(["u01"]), fitted.score(["u01"]))

    def test_update_learns_or_says_that_it_cannot(self, fitted):
        first, later = history().iloc[:300], history().iloc[300:]
        catalogue = history()[["item_id"]].drop_duplicates()
        model = self.make().fit(first, items=catalogue)
        try:
            model.update(later)
        except NotImplementedError as error:
            assert "fit it again" in str(error)
            return
        users = sorted(history()["user_id"].unique())
        pd.testing.assert_frame_equal(model.recommend(users, 5), fitted.recommend(users, 5))
