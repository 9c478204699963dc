"""What every rating predictor promises. A model's test class inherits this and says how to make one: ``make()``."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit import models
from recsys_kit.models.store import NotFittedError
from recsys_kit.schema import SchemaError


def ratings(rng=0, users=30, items=20, events=400) -> pd.DataFrame:
    """Small random ratings from 1 to 5: some users are stricter than others, some items better."""
    rng = np.random.default_rng(rng)
    user, item = rng.integers(0, users, events), (items * rng.random(events) ** 2).astype(int)
    taste = 3.5 + rng.normal(0, 0.6, users)[user] + rng.normal(0, 0.8, items)[item] + rng.normal(0, 0.5, events)
    return pd.DataFrame({"user_id": [f"u{n:02d}" for n in user], "item_id": [f"i{n:02d}" for n in item], "behaviour": "rate",
                         "timestamp": pd.Timestamp(2024, 1, 1) + pd.to_timedelta(np.sort(rng.integers(0, 2160, events)), "h"),
                         "rating": np.clip(np.round(taste), 1, 5)}).drop_duplicates(["user_id", "item_id"], ignore_index=True)


PAIRS = pd.DataFrame({"user_id": ["u01", "u02", "nobody", "u03", "nobody"], "item_id": ["i00", "i07", "i00", "nowhere", "nowhere"]})


class RatingConformance:
    """Inherit and define ``make()``; override nothing else."""

    def make(self):
        raise NotImplementedError

    @pytest.fixture
    def fitted(self):
        return self.make().fit(ratings())

    def test_fit_returns_the_model(self):
        model = self.make()
        assert model.fit(ratings()) is model

    def test_before_fit_it_says_so(self, tmp_path):
        for ask in (lambda m: m.predict(PAIRS), lambda m: m.save(tmp_path / "model.npz")):
            with pytest.raises(NotFittedError, match="call fit"):
                ask(self.make())

    def test_every_pair_gets_a_rating_on_the_scale_unknown_ones_too(self, fitted):
        predicted = fitted.predict(PAIRS)
        assert predicted.shape == (5,) and predicted.dtype == float and ((1 <= predicted) & (predicted <= 5)).all()

    def test_it_tells_good_items_from_bad_better_than_chance_on_what_it_learned(self, fitted):
        known = ratings()
        assert np.corrcoef(fitted.predict(known), known["rating"])[0, 1] > 0.2

    def test_the_order_of_the_pairs_does_not_matter(self, fitted):
        assert fitted.predict(PAIRS.iloc[::-1])[::-1].tolist() == fitted.predict(PAIRS).tolist()

    def test_no_pairs_no_predictions(self, fitted):
        assert fitted.predict(PAIRS.head(0)).shape == (0,)

    def test_pairs_without_an_item_column_are_refused(self, fitted):
        with pytest.raises(SchemaError, match="item_id"):
            fitted.predict(PAIRS[["user_id"]])

    def test_tables_of_items_and_users_without_their_ids_are_refused(self):
        for tables in ({"items": pd.DataFrame({"title": ["tea"]})}, {"users": pd.DataFrame({"age": [30]})}):
            with pytest.raises(SchemaError, match="no column '(item|user)_id'"):
                self.make().fit(ratings(), **tables)

    def test_a_scale_that_is_none_is_refused(self):
        for scale in ((5, 1), (np.nan, 5), (1, np.inf)):
            model = self.make()
            model.scale = scale
            with pytest.raises(ValueError, match="give .lowest, highest"):
                model.fit(ratings())

    def test_events_without_any_rating_are_refused(self):
        with pytest.raises(SchemaError, match="rating"):
            self.make().fit(ratings().drop(columns="rating"))
        with pytest.raises(SchemaError, match="no event has a rating"):
            self.make().fit(ratings().assign(rating=np.nan))

    def test_events_without_a_rating_among_others_are_left_out(self, fitted):
        views = ratings(rng=1).assign(rating=np.nan, behaviour="view")
        both = pd.concat([ratings(), views], ignore_index=True)
        assert np.allclose(self.make().fit(both).predict(PAIRS), fitted.predict(PAIRS))

    def test_an_infinite_rating_is_refused(self):
        with pytest.raises(SchemaError, match="rating"):
            self.make().fit(ratings().assign(rating=lambda t: t["rating"].where(t.index != 3, np.inf)))

    def test_fitting_and_asking_change_no_table(self, fitted):
        table, pairs = ratings(), PAIRS.copy()
        self.make().fit(table).predict(pairs)
        pd.testing.assert_frame_equal(table, ratings())
        pd.testing.assert_frame_equal(pairs, PAIRS)

    def test_same_fit_same_predictions(self, fitted):
        assert np.array_equal(self.make().fit(ratings()).predict(PAIRS), fitted.predict(PAIRS))

    def test_a_saved_and_loaded_model_is_the_same_model(self, fitted, tmp_path):
        again = models.load(fitted.save(tmp_path / "model.npz"))
        assert type(again) is type(fitted)
        assert np.array_equal(again.predict(PAIRS), fitted.predict(PAIRS))
        assert np.array_equal(again.predict(ratings()), fitted.predict(ratings()))
