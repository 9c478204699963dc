"""Planted strata get all the votes; who cannot vote does not; the picture says in words what the table says in numbers."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import SchemaError
from recsys_kit.strata import Choice, choose, kmeans, knee, quality, shuffled, stability
from recsys_kit.strata.choose import votes
from recsys_kit.strata.stability import agreement, seeds

fast = partial(kmeans, starts=3)


def crowds(users: int = 200, k: int = 4) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(users, k)) + 8 * np.eye(k)[np.arange(users) % k]
    return pd.DataFrame(values, index=[f"u{number:05d}" for number in range(users)])


@pytest.fixture(scope="module")
def four() -> Choice:
    return choose(crowds(), range(1, 8), method=fast, resamples=4, rng=0)


def test_planted_strata_get_every_vote(four):
    assert four.votes == dict.fromkeys(["within", "silhouette", "calinski_harabasz", "davies_bouldin", "stability"], 4)
    assert four.k == 4 and four.table.index.tolist() == [1, 2, 3, 4, 5, 6, 7] and four.table.index.name == "k"


def test_the_table_holds_what_the_parts_give_alone(four):
    labels = fast(crowds(), 4, rng=0).labels  # strata this clear are found from any seed
    indices = four.table.loc[4].drop(["stability", "stability_error", "stability_shuffled"])
    assert indices.to_dict() == pytest.approx(quality(crowds(), labels).to_dict())
    assert four.table.loc[4, "stability"] == pytest.approx(1)
    seed = int(np.random.default_rng(0).integers(2**31 - 1))
    alone = stability(crowds(), 6, method=fast, resamples=4, rng=seed)
    assert four.table.loc[6, "stability"] == alone.mean()
    assert four.table.loc[6, "stability_error"] == pytest.approx(alone.std(ddof=1) / 2)
    nothing = [agreement(shuffled(crowds(), [one, 1]), 6, fast, one) for one in seeds(seed, 2)]
    assert four.table.loc[6, "stability_shuffled"] == np.mean(nothing)
    assert four.table.loc[4, "stability_shuffled"] < 0.8 < four.table.loc[4, "stability"]


def test_every_null_resample_shuffles_anew_and_every_k_sees_the_same_tables():
    data, seen = crowds(40), {2: [], 3: []}

    def spy(part, k, rng):
        seen[k].append(part)
        return fast(part, k, rng=rng)

    choose(data, [2, 3], method=spy, resamples=4, rng=0)
    nulls = {k: [pd.concat(parts[at:at + 2]).sort_index() for at in (9, 11)] for k, parts in seen.items()}
    for table in nulls[2]:
        assert table.index.equals(data.index) and not table.equals(data)
        assert all(sorted(table[column]) == sorted(data[column]) for column in data)
    assert not nulls[2][0].equals(nulls[2][1]) and all(map(pd.DataFrame.equals, nulls[2], nulls[3]))


def test_stability_votes_by_how_far_it_lies_above_that_of_shuffled_columns():
    # one long cloud: its two halves always agree where to cut it in two, and that says nothing of groups
    long = crowds(1000).assign(length=1000 * np.random.default_rng(2).normal(size=1000))
    two = choose(long, [2, 3], method=fast, resamples=4, rng=0).table.loc[2]
    assert two["stability"] > 0.85 and two["stability_shuffled"] > 0.85
    told = pd.DataFrame({"within": [3.0, 2.0, 1.0], "between": 0.0, "silhouette": np.nan, "calinski_harabasz": np.nan,
                         "davies_bouldin": np.nan, "stability": [0.95, 0.9, 0.8], "stability_shuffled": [0.9, 0.5, 0.6]},
                        index=[2, 3, 4])
    assert votes(told) == {"stability": 3}


def test_one_stratum_has_a_variance_and_no_index_and_never_wins(four):
    alone = four.table.loc[1]
    assert alone["between"] == pytest.approx(0, abs=1e-9) and alone["within"] == pytest.approx(crowds().var(ddof=0).sum())
    assert alone.drop(["within", "between"]).isna().all()
    only = choose(crowds(), [1], resamples=2, rng=0)
    assert only.votes == {} and only.k == 1 and "No index votes" in only.picture().get_suptitle()


def test_one_seed_gives_one_table(four):
    again = choose(crowds(), [7, 6, 5, 4, 3, 2, 1, 4], method=fast, resamples=4, rng=0)
    pd.testing.assert_frame_equal(again.table, four.table)


def test_undefined_values_do_not_vote_and_infinite_ones_do():
    table = pd.DataFrame({"within": [3.0, 2.0, 1.0], "between": 0.0, "silhouette": np.nan, "calinski_harabasz": [1, np.inf, 2],
                          "davies_bouldin": [np.nan, 0.4, 0.3], "stability": [0.5, 0.9, 0.9], "stability_shuffled": 0.1},
                         index=[2, 3, 4])
    assert votes(table) == {"calinski_harabasz": 3, "davies_bouldin": 4, "stability": 3}


def test_the_most_votes_win_and_of_equally_many_the_most_stable():
    table = pd.DataFrame({"stability": [0.9, 0.9, 0.8, np.nan], "stability_shuffled": [0.2, 0, 0, 0]}, index=[2, 3, 4, 5])
    assert Choice(table, {"a": 2, "b": 2, "c": 3}).k == 2
    assert Choice(table, {"a": 2, "b": 2, "c": 4, "d": 4, "e": 3}).k == 4
    assert Choice(table, {"a": 5, "b": 2}).k == 2
    assert Choice(table.assign(stability=0.5), {"a": 4, "b": 3}).k == 3


def test_the_knee_is_the_point_farthest_below_the_chord():
    curve = pd.Series([100.0, 60, 30, 25, 21, 18], index=[1, 2, 3, 4, 5, 6])
    scaled_x, scaled_y = (curve.index - 1) / 5, (curve - 18) / 82
    assert knee(curve) == (1 - scaled_x - scaled_y).idxmax() == 3
    assert knee(curve * 1e-6 + 5) == 3 and knee(curve.set_axis(curve.index * 10)) == 30 and knee(curve[::-1]) == 3
    assert knee(pd.Series([9.0, 6, 5, 4.5, 0.2], index=[2, 3, 4, 5, 20])) == 5  # uneven steps count as long as they are


@pytest.mark.parametrize("curve", [[5, 4, 3, 2, 1], [1, 2, 3], [3, 3, 3], [9, 8.5, 7, 0], [9, 1], [9], [], [np.nan, 3, np.nan, 1]])
def test_without_a_bend_there_is_no_knee(curve):
    assert knee(pd.Series(curve, dtype=float)) is None


def test_the_picture_names_every_vote_and_rings_it(four):
    figure = four.picture()
    titles = [ax.get_title() or ax.get_title("left") for ax in figure.axes]  # a style may move them
    assert titles == ["Within strata votes for k = 4 (knee)", "Between strata: shown, no vote",
                      "Silhouette votes for k = 4 (highest)", "Calinski-Harabasz votes for k = 4 (highest)",
                      "Davies-Bouldin votes for k = 4 (lowest)", "Stability votes for k = 4 (above shuffled)"]
    assert figure.get_suptitle() == "5 of 5 votes are for k = 4"
    assert all(ax.get_ylabel() for ax in figure.axes) and all("k" in ax.get_xlabel() for ax in figure.axes[3:])
    for ax, column in zip(figure.axes, four.table[["within", "between", "silhouette", "calinski_harabasz", "davies_bouldin",
                                                   "stability"]], strict=True):
        drawn = [line.get_xydata() for line in ax.lines]
        assert any(np.array_equal(xy[:, 1], four.table[column], equal_nan=True) for xy in drawn)
        ring = [xy for xy in drawn if len(xy) == 1]
        assert [xy.tolist() for xy in ring] == ([] if column == "between" else [[[4.0, four.table.loc[4, column]]]])
    figure.canvas.draw()


def test_the_picture_says_who_disagrees():
    table = pd.DataFrame({"within": [3.0, 2.9, 1.0, 0.9], "between": 1.0, "silhouette": [0.3, 0.2, 0.1, 0.1],
                          "silhouette_error": 0.01, "calinski_harabasz": [1.0, 2, np.inf, 3], "davies_bouldin": np.nan,
                          "stability": [0.9, 0.9, 0.8, 0.7], "stability_error": np.nan, "stability_shuffled": 0.2},
                         index=pd.RangeIndex(2, 6, name="k"))
    figure = Choice(table, votes(table)).picture()
    titles = [ax.get_title() or ax.get_title("left") for ax in figure.axes]  # a style may move them
    assert "Silhouette votes for k = 2 (highest)" in titles and "Davies-Bouldin: no vote" in titles
    assert "Calinski-Harabasz votes for k = 4 (highest)" in titles and "Within strata votes for k = 4 (knee)" in titles
    assert figure.get_suptitle() == "2 of 4 votes are for k = 2"
    figure.canvas.draw()


def test_progress_is_told_after_every_set_of_strata():
    told = []
    choose(crowds(40), [2, 3], method=fast, resamples=2, rng=0, progress=lambda *at: told.append(at))
    assert told == [(done, 8) for done in range(1, 9)]


def test_ctrl_c_stops_it():
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        choose(crowds(40), [2, 3], method=fast, resamples=2, progress=stop)


def test_an_interest_matrix_has_all_indices_too():
    rng = np.random.default_rng(0)
    user = rng.integers(0, 90, 3_000)
    events = pd.DataFrame({"user_id": user.astype(str), "item_id": (10 * (user % 3) + rng.integers(0, 10, 3_000)).astype(str),
                           "behaviour": "view", "timestamp": 1_700_000_000})
    found = choose(Interactions.from_events(events), range(2, 6), method=fast, resamples=2, rng=0)
    assert found.votes == dict.fromkeys(["within", "silhouette", "calinski_harabasz", "davies_bouldin", "stability"], 3)


def test_strata_of_shuffled_columns_are_less_stable_and_less_apart():
    real = choose(crowds(), [4], method=fast, resamples=3, rng=0).table.loc[4]
    null = choose(shuffled(crowds(), 0), [4], method=fast, resamples=3, rng=0).table.loc[4]
    assert real["silhouette"] > null["silhouette"] + 0.1 and real["stability"] > null["stability"] + 0.1


@pytest.mark.parametrize(("users", "ks", "words"), [
    (200, [], "names no number"), (200, [0, 2], "each of ks must be at least 1, not 0"), (200, [2.5], "whole number, not 2.5"),
    (200, 3, "ks must name the numbers of strata to try, such as range\\(2, 11\\), not 3"),
    (19, range(2, 11), "10 strata are too many for 19 users.*ks up to 9"), (1, [1], "only one user")])
def test_what_cannot_be_chosen_from_is_refused_in_words(users, ks, words):
    with pytest.raises(ValueError, match="(?s)choose: .*" + words):
        choose(crowds(200).head(users), ks)


def test_fewer_different_users_than_strata_are_told_before_anything_is_learned():
    def never(*_, **__):
        raise AssertionError("nothing should be learned")

    with pytest.raises(ValueError, match="^choose: 3 strata asked for, but only 2 of the 20 users differ"):
        choose(pd.DataFrame({"x": [0.0, 1.0] * 10}), [2, 3], method=never)


def test_where_a_half_has_too_few_different_users_stability_does_not_vote_and_the_rest_stays():
    rare = pd.DataFrame({"x": [0.0, 1.0] * 10 + [2.0]})  # one half never sees the last user
    found = choose(rare, [2, 3], resamples=2, rng=0)
    assert found.table.loc[3, ["stability", "stability_error", "stability_shuffled"]].isna().all()
    assert found.table.loc[2, "stability"] > 0.5 and found.votes["stability"] == 2 and found.votes["silhouette"] == 3
    few = choose(pd.DataFrame({"x": [0.0, 1.0] * 10 + [2.0, 2.0]}), [2, 3], resamples=30, rng=0)  # in some resamples both do
    assert few.table.loc[3, ["stability", "stability_error"]].isna().all()


def test_shuffled_columns_with_fewer_different_users_than_strata_lose_nothing():
    corners = pd.DataFrame(np.repeat(np.eye(8), [9, 1, 1, 1, 1, 1, 1, 1], axis=0)).assign(n=0)
    found = choose(corners, [2, 5], resamples=4, rng=0).table
    assert found["silhouette"].notna().all() and found["within"].notna().all()


def test_broken_tables_get_the_error_of_every_stratifier():
    with pytest.raises(SchemaError, match="missing or infinite"):
        choose(crowds().mask(crowds() > 8))
    with pytest.raises(ValueError, match="resamples must be at least 1"):
        choose(crowds(), [2], resamples=0)
