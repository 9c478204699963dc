"""What every ranker promises. A model's test class inherits this and says how to make one: ``make()``."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit import models
from recsys_kit.data.interactions import Interactions
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

    def test_unknown_users_are_all_treated_alike_and_get_no_nan(self, fitted):
        lists = fitted.recommend(["nobody", "no one"], 5)
        first, second = (lists[lists["user_id"] == user].drop(columns="user_id") for user in ("nobody", "no one"))
        assert first.to_numpy().tolist() == second.to_numpy().tolist() and lists["score"].notna().all()

    def test_no_users_no_rows(self, fitted):
        assert fitted.recommend([], 5).columns.tolist() == ["user_id", "item_id", "score", "rank"]

    def test_a_table_of_users_without_their_ids_is_refused(self):
        with pytest.raises(SchemaError, match="users: no column 'user_id'"):
            self.make().fit(history(), users=pd.DataFrame({"age": [30]}))

    def test_empty_history_is_refused(self):
        with pytest.raises(SchemaError, match="no rows"):
            self.make().fit(history().head(0))

    def test_duplicate_events_are_learned_as_they_stand(self, fitted):
        doubled = self.make().fit(pd.concat([history(), history()]))  # with a doubled index, too
        assert doubled.items_.equals(fitted.items_) and len(doubled.recommend(["u01"], 5)) == 5

    @pytest.mark.parametrize("form", ["category", "unordered behaviours", "datetime64[ns]"])
    def test_the_form_of_the_columns_does_not_matter(self, fitted, form):
        table = history()
        table = {"category": table.assign(user_id=table["user_id"].astype("category"), item_id=table["item_id"].astype("category")),
                 "unordered behaviours": table.assign(behaviour=pd.Categorical(table["behaviour"])),
                 "datetime64[ns]": table.assign(timestamp=table["timestamp"].astype("datetime64[ns]"))}[form]
        assert np.allclose(self.make().fit(table).score(["u01"]), fitted.score(["u01"]))

    def test_number_ids_are_the_same_as_their_text(self):
        table = history().assign(item_id=history()["item_id"].str[1:].astype(int) * 7)
        catalogue = table[["item_id"]].drop_duplicates()
        numbers = self.make().fit(table, items=catalogue).recommend(["u01"], 5)
        texts = self.make().fit(table.assign(item_id=table["item_id"].astype("str")), items=catalogue).recommend(["u01"], 5)
        pd.testing.assert_frame_equal(numbers, texts)

    def test_a_list_for_an_earlier_moment_hides_only_what_was_touched_before_it(self, fitted):
        table = history()
        moment = table["timestamp"].iloc[200]
        before = set(table.iloc[:200].query("user_id == 'u05' and timestamp < @moment")["item_id"])
        shown = set(fitted.recommend(["u05"], 100, at=moment)["item_id"])
        later = set(table.query("user_id == 'u05' and timestamp >= @moment")["item_id"]) - before
        assert later and later <= shown and not before & shown

    def test_other_interactions_can_say_what_is_seen(self, fitted):
        other = pd.DataFrame({"user_id": ["u05", "u05"], "item_id": ["i00", "nowhere"], "behaviour": "view",
                              "timestamp": pd.Timestamp("2024-01-01")})
        shown = set(fitted.recommend(["u05"], 100, exclude_seen=Interactions.from_events(other))["item_id"])
        everything = set(fitted.recommend(["u05"], 100, exclude_seen=False)["item_id"])
        assert shown == everything - {"i00"}

    def test_a_fit_that_fails_leaves_no_model_that_looks_fitted(self):
        model = self.make().fit(history())
        with pytest.raises(SchemaError):
            model.fit(history(), items=pd.DataFrame({"item_id": ["a", "a"]}))
        model._fit = None
        with pytest.raises(TypeError):
            model.fit(history())
        with pytest.raises(NotFittedError):
            model.recommend(["u01"], 3)

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

    def test_a_saved_and_loaded_model_is_the_same_model(self, fitted, tmp_path):
        again = models.load(fitted.save(tmp_path / "model.npz"))
        users = [*sorted(history()["user_id"].unique()), "nobody"]
        assert type(again) is type(fitted) and again.settings() == fitted.settings()
        assert np.array_equal(again.score(users), fitted.score(users), equal_nan=True)
        pd.testing.assert_frame_equal(again.recommend(users, 5), fitted.recommend(users, 5))
        early = history()["timestamp"].iloc[200]
        pd.testing.assert_frame_equal(again.recommend(users, 5, at=early), fitted.recommend(users, 5, at=early))

    def test_what_was_never_fitted_cannot_be_saved(self, tmp_path):
        with pytest.raises(NotFittedError, match="call fit"):
            self.make().save(tmp_path / "model.npz")
        assert list(tmp_path.iterdir()) == []
