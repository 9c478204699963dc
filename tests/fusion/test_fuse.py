"""Fusion against numpy's singular value decomposition, and the promise that no block speaks louder for its size or units."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from recsys_kit.fusion import Fusion, UserBlocks
from recsys_kit.fusion.signs import fixed_signs
from recsys_kit.schema import SchemaError

USERS = [f"u{n:02d}" for n in range(40)]


def block(seed: int, columns: int, users=USERS) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(len(users), columns)) * np.linspace(3, 1, columns) + rng.normal(size=columns)
    return pd.DataFrame(values, index=users, columns=[f"x{n}" for n in range(columns)])


BLOCKS = {"what": block(0, 6), "when": block(1, 3) * 1000, "how": block(2, 1)}


def by_hand(blocks: dict, weights: dict) -> np.ndarray:
    parts = []
    for name, table in blocks.items():
        centred = table.to_numpy() - table.to_numpy().mean(axis=0)
        parts.append(weights.get(name, 1) * centred / np.linalg.svd(centred, compute_uv=False)[0] * np.sqrt(len(table)))
    return np.hstack(parts)


@pytest.mark.parametrize("blocks, weights", [(BLOCKS, {}), (BLOCKS, {"when": 2.0, "how": 0.5}), ({"all": block(3, 70)}, {})])
def test_components_are_those_of_numpys_svd_of_the_scaled_blocks(blocks, weights):
    scaled = by_hand(blocks, weights)
    left, values, right = np.linalg.svd(scaled, full_matrices=False)
    fusion = Fusion(5, weights=weights)
    fused = fusion.fit_transform(blocks)
    signs = np.sign((left[:, :5] * fused.to_numpy()).sum(axis=0))
    assert np.allclose(fused, left[:, :5] * values[:5] * signs, rtol=1e-8, atol=1e-8)
    assert np.allclose(fusion.loadings, right[:5].T * signs, atol=1e-8)
    assert fusion.explained.tolist() == pytest.approx((values**2 / (values**2).sum())[:5].tolist())
    assert fused.columns.tolist() == ["f01", "f02", "f03", "f04", "f05"] and fused.index.name == "user_id"


def test_every_block_has_a_standard_deviation_of_its_weight_along_its_own_first_component():
    for name, table in BLOCKS.items():
        fused = Fusion(1, weights={name: 3.0}).fit_transform({name: table})
        assert fused["f01"].std(ddof=0) == pytest.approx(3)


def test_units_do_not_matter_nor_do_columns_given_twice():
    fused = Fusion(4).fit_transform(BLOCKS)
    other_units = BLOCKS | {"how": BLOCKS["how"] * 1e-6 + 3, "what": BLOCKS["what"] * 1e9}
    assert_frame_equal(fused, Fusion(4).fit_transform(other_units), rtol=1e-7, atol=1e-7)
    twice = BLOCKS | {"how": pd.concat([BLOCKS["how"], BLOCKS["how"].add_suffix("_again")], axis=1)}
    assert np.allclose(np.abs(fused), np.abs(Fusion(4).fit_transform(twice)), atol=1e-7)


def test_the_order_of_users_changes_neither_numbers_nor_signs():
    fused = Fusion(5).fit_transform(BLOCKS)
    mixed = {name: table.sample(frac=1, random_state=place) for place, (name, table) in enumerate(BLOCKS.items())}
    assert_frame_equal(fused, Fusion(5).fit_transform(mixed).loc[USERS], rtol=1e-8, atol=1e-8)
    loadings = Fusion(5).fit(BLOCKS).loadings
    assert (loadings.max() == loadings.abs().max()).all()


def test_contributions_say_where_a_components_variance_comes_from():
    fusion = Fusion(6).fit(BLOCKS)
    assert np.allclose(fusion.contributions.sum(), 1) and fusion.contributions.index.tolist() == list(BLOCKS)
    alone = Fusion(6, weights={"when": 0, "how": 0}).fit(BLOCKS)
    assert np.allclose(alone.contributions.loc["what"], 1)
    scores, scaled = fusion.transform(BLOCKS)["f02"], by_hand(BLOCKS, {})
    loading = fusion.loadings["f02"].to_numpy()
    shares = [scaled[:, part] @ loading[part] @ scores / (scores @ scores)  # covariance of the block's part with the component
              for part in (slice(0, 6), slice(6, 9), slice(9, 10))]
    assert fusion.contributions["f02"].tolist() == pytest.approx(shares)


def test_no_more_components_are_kept_than_the_blocks_hold():
    two = block(5, 2)
    table = pd.DataFrame({"a": two["x0"], "b": two["x1"], "sum": two["x0"] + two["x1"], "same": 4.0})
    fusion = Fusion(10).fit({"all": table})
    assert fusion.components_ == 2 and fusion.explained.sum() == pytest.approx(1)
    assert Fusion(1).fit({"all": table}).explained.sum() < 1
    assert Fusion().fit({"all": block(6, 30)[:3]}).components_ == 2  # three users span two dimensions


def test_new_users_are_seen_with_the_means_and_scales_learned():
    fusion = Fusion(4).fit(BLOCKS)
    known = fusion.transform(BLOCKS)
    assert_frame_equal(fusion.transform({name: table[3:4] for name, table in BLOCKS.items()}), known[3:4], rtol=1e-9, atol=1e-9)
    shifted = {name: table + 5 * table.std() for name, table in BLOCKS.items()}
    assert (fusion.transform(shifted).mean().abs() > 0.5).any()
    backwards = {name: BLOCKS[name][BLOCKS[name].columns[::-1]] for name in reversed(BLOCKS)}
    assert_frame_equal(fusion.transform(backwards), known, rtol=1e-9, atol=1e-9)


def test_of_two_entries_as_large_as_one_another_the_first_is_positive_whatever_rounding_says():
    assert fixed_signs(np.array([[-0.5, 0.5], [0.5 + 1e-12, -0.5 - 1e-12]])).tolist() == [[0.5, 0.5], [-0.5 - 1e-12] * 2]


@pytest.mark.filterwarnings("error")
def test_a_constant_block_or_column_contributes_nothing():
    some = {name: table[:37] for name, table in BLOCKS.items()}
    still = pd.DataFrame(np.full((37, 2), 0.1), index=USERS[:37])
    assert (still.to_numpy().mean(axis=0) != 0.1).all()  # rounding remains when it is centred
    fusion = Fusion(4).fit(some | {"still": still})
    assert (fusion.contributions.loc["still"] == 0).all()
    assert np.allclose(fusion.transform(some | {"still": still + 7}), Fusion(4).fit_transform(some), rtol=1e-9, atol=1e-9)


def test_what_cannot_be_fused_is_refused_in_one_sentence():
    fusion = Fusion().fit(BLOCKS)
    broken = BLOCKS["how"].copy()
    broken.iloc[2] = np.nan
    cases = [
        (lambda: Fusion().fit({}), "there are no blocks"),
        (lambda: Fusion().fit({"a": BLOCKS["how"].to_numpy()}), "block 'a' is a ndarray"),
        (lambda: Fusion().fit({"a": BLOCKS["how"][:1]}), "one user has no variance"),
        (lambda: Fusion().fit(BLOCKS | {"how": broken}), "block 'how': column 'x0': 1 missing or infinite"),
        (lambda: Fusion().fit(BLOCKS | {"how": BLOCKS["how"][:-1]}), "block 'how' has 39 users, block 'what' 40.*'u39'"),
        (lambda: Fusion().fit(BLOCKS | {"how": BLOCKS["how"].rename(index={"u07": "x"})}), "are not the same.*'u07', 'x'"),
        (lambda: Fusion().fit({"a": pd.DataFrame({"x": 1.0}, index=USERS)}), "no block tells these 40 users apart"),
        (lambda: Fusion(weights={"a": 0}).fit({"a": BLOCKS["how"]}), "no block tells these 40 users apart"),
        (lambda: fusion.transform({"what": BLOCKS["what"]}), "fitted on the blocks what, when, how, not on what"),
        (lambda: fusion.transform(BLOCKS | {"how": BLOCKS["how"].add_prefix("z")}), "block 'how': .*1 columns are missing"),
    ]
    for call, message in cases:
        with pytest.raises(SchemaError, match=message):
            call()


def test_wrong_settings_are_told():
    with pytest.raises(ValueError, match="there is no block 'whom'; the blocks are what, when, how"):
        Fusion(weights={"whom": 2}).fit(BLOCKS)
    with pytest.raises(ValueError, match="weights are given by block name.*not as a list"):
        Fusion(weights=[1, 2])
    for weight in (-1, np.nan, np.inf, "x", None):
        with pytest.raises(ValueError, match="weight of block 'what'"):
            Fusion(weights={"what": weight})
    for components in (0, 2.5):
        with pytest.raises(ValueError, match="components"):
            Fusion(components)
    with pytest.raises(RuntimeError, match="call fit"):
        Fusion().transform(BLOCKS)


def test_on_the_market_the_fused_blocks_give_the_planted_strata_back(market):
    blocks = UserBlocks().fit_transform(market.events, market.items)
    true = market.truth.users["stratum"].loc[blocks["time"].index]
    oracle = market.truth.oracle_strata(market.events).loc[true.index]

    def recovered(table) -> float:
        found = KMeans(5, n_init=5, random_state=0).fit_predict(table)
        return adjusted_rand_score(true, found) / adjusted_rand_score(true, oracle)

    fused = recovered(Fusion(10).fit_transform(blocks))
    assert fused > 0.9 and fused > max(recovered(blocks[name]) for name in blocks) + 0.03
