"""BPR puts what a user touched before what they did not, and repeats itself with one seed and one thread."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.models.bpr import BPR
from tests.models.conformance import RankerConformance, history


class TestBPR(RankerConformance):
    def make(self):
        return BPR(4, epochs=5)


def pairs_in_order(model, table) -> float:
    """Share of (user, touched item, untouched item) that the model puts in the right order: the AUC per user, by hand."""
    known = Interactions.from_events(table, items=model.items_)
    touched, scores = known.matrix.toarray() > 0, model.score(known.users)
    shares = [np.mean(row[mine][:, None] > row[~mine]) for mine, row in zip(touched, scores, strict=True) if not mine.all()]
    return float(np.mean(shares))


def two_tastes() -> pd.DataFrame:
    """Even users like even items, odd users odd ones; nobody touches all of them."""
    rows = [(f"u{u:02d}", f"i{i:02d}") for u in range(30) for i in range(20) if u % 2 == i % 2 and (u + i) % 6]
    return pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(behaviour="view", timestamp=pd.Timestamp("2024-01-01"))


def test_training_puts_touched_items_first():
    few, many = (pairs_in_order(BPR(8, epochs=epochs).fit(history()), history()) for epochs in (1, 200))
    assert many > 0.9 and many > few + 0.1


def test_it_finds_items_of_a_users_taste_that_the_user_never_touched():
    lists = BPR(8, epochs=300).fit(two_tastes()).recommend(["u02", "u03"], 3)
    parity = lists["item_id"].str[1:].astype(int) % 2
    assert (parity[lists["user_id"] == "u02"] == 0).all() and (parity[lists["user_id"] == "u03"] == 1).all()


def test_scores_are_the_product_of_the_vectors_plus_the_bias():
    model = BPR(4, epochs=5).fit(history())
    place = model.users_.get_loc("u05")
    by_hand = [sum(model.user_vectors_[place] * y) + b for y, b in zip(model.item_vectors_, model.item_bias_, strict=True)]
    assert np.allclose(model.score(["u05"])[0], by_hand, atol=1e-5) and np.ptp(model.item_bias_) > 0


def test_it_is_the_librarys_model_with_the_settings_that_were_given():
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BPR(5, epochs=7, learning_rate=0.2, l2=0.03, rng=3).fit(history())
    library = BayesianPersonalizedRanking(5, learning_rate=0.2, regularization=0.03, iterations=7, num_threads=1, random_state=3,
                                          verify_negative_samples=True)
    touched = Interactions.from_events(history()).matrix > 0
    library.fit(sparse.csr_matrix(touched.astype(np.float32)), show_progress=False)
    assert np.array_equal(model.user_vectors_, library.user_factors[:, :5])
    assert np.array_equal(np.column_stack([model.item_vectors_, model.item_bias_]), library.item_factors)


def test_one_seed_one_model_another_seed_another():
    same, again, other = (BPR(4, epochs=5, rng=seed).fit(history()).score(["u01"]) for seed in (1, 1, 2))
    assert np.array_equal(same, again) and not np.allclose(same, other)


def test_only_what_counts_makes_a_user_known():
    table = pd.concat([history(), history().head(1).assign(user_id="looker", behaviour="view")])
    model = BPR(4, epochs=5, weights={"purchase": 1}).fit(table)
    assert np.isnan(model.score(["looker", "nobody"])).all() and model.recommend(["looker", "nobody"], 3).empty
    assert "looker" not in model.users_ and np.isfinite(model.score(["u01"])).all()
    returned = pd.concat([history(), history().head(1).assign(user_id="back", behaviour="return")])
    assert "back" not in BPR(4, epochs=5, weights={"view": 1, "purchase": 1, "return": -1}).fit(returned).users_


def test_where_nothing_counts_nobody_gets_a_list():
    assert BPR(4, epochs=2, weights={"return": 1}).fit(history()).recommend(["u01"], 3).empty


def test_a_training_that_runs_off_is_told():
    with pytest.raises(ValueError, match="lower learning_rate"):
        BPR(4, epochs=50, learning_rate=1e30).fit(history())


@pytest.mark.parametrize("wrong", [dict(factors=0), dict(epochs=1.5), dict(threads=0), dict(learning_rate=0), dict(l2=-1),
                                   dict(l2=float("inf"))])
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BPR(**wrong)
