"""Which features tell strata apart: scores against scikit-learn, and few false alarms however many features are asked."""

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_selection import f_classif
from sklearn.metrics import mutual_info_score

from recsys_kit.features import user_features
from recsys_kit.fusion import separating
from recsys_kit.schema import SchemaError

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], 40)
TABLE = pd.DataFrame(RNG.normal(size=(120, 5)), columns=list("abcde"), index=[f"u{n}" for n in range(120)]).assign(
    shift=lambda t: t["a"] + LABELS, spread=RNG.normal(size=120) * np.array([0.2, 1, 4])[LABELS], same=0.1)


def test_f_is_that_of_scikit_learn():
    result = separating(TABLE.drop(columns="same"), LABELS, rng=0)
    expected, _ = f_classif(TABLE[result.index], LABELS)
    assert np.allclose(result["score"], expected, rtol=1e-10)
    assert result["score"].is_monotonic_decreasing and result.index[0] == "shift" and result.index.name == "feature"


def test_mutual_information_is_that_of_the_quantile_bins():
    result = separating(TABLE, LABELS, score="mutual_information", rng=0)
    for feature in ("shift", "spread", "a"):
        bins = pd.qcut(TABLE[feature], 10, labels=False)
        assert result.loc[feature, "score"] == pytest.approx(mutual_info_score(LABELS, bins))


def test_few_values_make_few_bins():
    table = pd.DataFrame({"rare": (np.arange(120) == 0).astype(float), "is two": (LABELS == 2).astype(float)})
    result = separating(table, LABELS, score="mutual_information", rng=0)
    assert result.loc["is two", "score"] == pytest.approx(mutual_info_score(LABELS, LABELS == 2))
    assert result["separates"].to_dict() == {"is two": True, "rare": False}


def test_mutual_information_sees_a_spread_that_f_does_not():
    f, information = (separating(TABLE, LABELS, score=score, rng=0)["separates"] for score in ("f", "mutual_information"))
    assert f["shift"] and information["shift"] and information["spread"] and not f["spread"]
    assert not f[list("abcde")].any() and not information[list("bcde")].any()


def test_the_threshold_holds_for_the_whole_table_of_features():
    alarms, naive = 0, 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = pd.DataFrame(rng.standard_normal((60, 30)))
        labels = rng.integers(0, 3, 60)
        alarms += separating(noise, labels, rng=seed)["separates"].any()
        naive += (f_classif(noise, labels)[1] < 0.05).any()
    assert alarms <= 8 and naive >= 40  # 60 tables at 5 %: three are expected, nine would be one in four hundred


def test_the_null_is_what_a_score_must_beat_and_one_number_for_all():
    for score in ("f", "mutual_information"):
        result = separating(TABLE, LABELS, score=score, permutations=39, rng=1)
        assert result["null"].nunique() == 1
        assert (result["separates"] == (result["score"] > result["null"])).all()
        assert (result["separates"] == (result["p_value"] <= 0.05)).all()
        assert result["p_value"].min() == 1 / 40 and result["p_value"].max() <= 1


@pytest.mark.filterwarnings("error")
def test_a_constant_feature_scores_nothing_and_a_perfect_one_everything():
    table = pd.DataFrame({"same": 0.1, "label": LABELS * 0.1, "x": TABLE["b"].to_numpy()})
    result = separating(table, LABELS, rng=0)
    assert result.loc["same", ["score", "p_value"]].tolist() == [0, 1] and not result.loc["same", "separates"]
    assert result.loc["label", "score"] == np.inf and result.loc["label", "separates"]
    uneven = np.random.default_rng(3).integers(0, 3, 31)  # what is left within these strata is rounding, not zero
    assert separating(pd.DataFrame({"x": np.array([0.3, 1.7, 2.9])[uneven]}), uneven)["score"].tolist() == [np.inf]
    assert separating(table[["same"]], LABELS, rng=0)["p_value"].tolist() == [1]
    assert separating(table[["same"]], LABELS, score="mutual_information")["score"].tolist() == [0]


def test_labels_are_met_by_user_and_noise_is_left_out():
    labels = pd.Series(LABELS, index=TABLE.index)
    expected = separating(TABLE, labels, rng=0)
    assert separating(TABLE.sample(frac=1, random_state=0), labels, rng=0)["score"].to_numpy() == pytest.approx(
        expected["score"].to_numpy())
    noisy = labels.mask(labels == 2, -1)
    kept = separating(TABLE[labels != 2], labels[labels != 2], rng=0)
    assert separating(TABLE, noisy, rng=0).equals(kept)
    assert separating(TABLE, noisy.replace(-1, -2), rng=0).equals(kept)
    named = labels.map({0: "late", 1: "early", 2: "cheap"})
    assert np.allclose(separating(TABLE, named, rng=0)["score"], expected["score"])


def test_the_same_seed_gives_the_same_table():
    assert separating(TABLE, LABELS, rng=3).equals(separating(TABLE, LABELS, rng=np.random.default_rng(3)))


def test_what_cannot_be_asked_is_told():
    labels = pd.Series(LABELS, index=TABLE.index)
    for error, call, message in [
        (ValueError, lambda: separating(TABLE, LABELS, score="chi2"), "no score 'chi2'; there are 'f', 'mutual_information'"),
        (ValueError, lambda: separating(TABLE, LABELS, permutations=5), "must be at least 19"),
        (ValueError, lambda: separating(TABLE, LABELS * 0), "1 strata of 120 users"),
        (ValueError, lambda: separating(TABLE, LABELS * 0 - 1), "0 strata of 0 users"),
        (ValueError, lambda: separating(TABLE[:2], [0, 1]), "more users than strata"),
        (SchemaError, lambda: separating(TABLE, labels[3:]), "3 of 120 users have no label, for instance 'u0'"),
        (SchemaError, lambda: separating(TABLE, LABELS[3:]), "117 labels for 120 users"),
        (SchemaError, lambda: separating(TABLE, labels.mask(labels == 0)), "separating: 40 of 120 labels are missing"),
        (SchemaError, lambda: separating(TABLE, pd.concat([labels, labels[:1]])), "users that already have one, for instance 'u0'"),
        (SchemaError, lambda: separating(TABLE.assign(a=np.inf), LABELS), "column 'a': 120 missing or infinite"),
    ]:
        with pytest.raises(error, match=message):
            call()


def test_on_the_market_categories_tell_the_planted_strata_apart_and_shuffled_strata_do_not(market):
    features = user_features(market.events, items=market.items)
    true = market.truth.users["stratum"]
    result = separating(features, true, rng=0)
    assert result["separates"].filter(like="category_").mean() > 0.7 and result["separates"].filter(like="hour_").mean() > 0.5
    shuffled = pd.Series(np.random.default_rng(0).permutation(true), index=true.index)
    assert not separating(features, shuffled, rng=0)["separates"].any()
