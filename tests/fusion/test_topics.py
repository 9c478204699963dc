"""Topics that were planted are found, read, and judged on users they have not seen."""

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from recsys_kit import Interactions
from recsys_kit.fusion import Fusion, Topics
from recsys_kit.schema import SchemaError

TEA, TOYS, TOOLS = ["tea", "mug", "pot"], ["car", "doll", "kite", "ball"], ["saw", "drill"]


def planted(users: int = 300, seed: int = 0, bestseller: bool = True) -> pd.DataFrame:
    """Users who each draw 30 items from a mixture of three topics (tea the largest); everybody buys bags."""
    rng = np.random.default_rng(seed)
    words = [*TEA, *TOYS, *TOOLS, "bag"]
    phi = np.array([[word in topic for word in words] for topic in (TEA, TOYS, TOOLS)], dtype=float)
    phi = phi / phi.sum(axis=1, keepdims=True)
    if bestseller:
        phi = 0.7 * phi + 0.3 * (np.array(words) == "bag")
    theta = rng.dirichlet([0.5, 0.3, 0.15], users)
    counts = np.array([rng.multinomial(30, mixture) for mixture in theta @ phi])
    return pd.DataFrame(counts, index=[f"u{n:03d}" for n in range(users)], columns=words)


COUNTS = planted()


@pytest.fixture(scope="module")
def topics() -> Topics:
    return Topics(3, rng=0).fit(COUNTS)


def test_planted_topics_are_found_and_the_largest_comes_first():
    words = Topics(3, rng=0).fit(planted(bestseller=False)).words(4)
    for names, topic in zip(words["words"], (TEA, TOYS, TOOLS), strict=True):
        assert set(names.split("; ")) >= set(topic)
    assert words["share"].is_monotonic_decreasing and words.index.tolist() == ["topic_0", "topic_1", "topic_2"]


def test_where_a_single_start_ends_in_a_poor_optimum_the_best_of_four_finds_the_topics(monkeypatch):
    train, new = planted(bestseller=False), planted(seed=1, bestseller=False)
    found = Topics(3, rng=9).fit(train).perplexity(new)
    monkeypatch.setattr("recsys_kit.fusion.topics.STARTS", 1)
    assert found < 0.9 * Topics(3, rng=9).fit(train).perplexity(new)


@pytest.mark.filterwarnings("error")
def test_counts_so_small_that_every_start_is_infinitely_surprised_still_give_topics():
    mixture = Topics(3, rng=0).fit(COUNTS * 1e-12).transform(COUNTS)
    assert np.allclose(mixture.sum(axis=1), 1)


def test_the_share_of_a_topic_is_its_share_of_all_counts():
    counts = COUNTS * np.arange(1, len(COUNTS) + 1)[:, None]  # users of very different activity
    topics = Topics(3, rng=0).fit(counts)
    expected = topics.transform(counts).mul(counts.sum(axis=1), axis=0).sum() / counts.to_numpy().sum()
    assert topics.share.tolist() == pytest.approx(expected.tolist()) and topics.share.sum() == pytest.approx(1)


def test_every_user_is_a_mixture_and_who_has_no_counts_gets_equal_shares(topics):
    extremes = pd.DataFrame(0, index=["tea", "both", "none"], columns=COUNTS.columns)
    extremes.loc["tea", TEA] = 20
    extremes.loc["both", ["tea", "car"]] = 30
    mixture = topics.transform(extremes)
    assert np.allclose(mixture.sum(axis=1), 1) and mixture.index.name == "user_id"
    assert mixture.loc["tea", "topic_0"] > 0.95 and mixture.loc["both", ["topic_0", "topic_1"]].between(0.4, 0.6).all()
    assert mixture.loc["none"].tolist() == pytest.approx([1 / 3] * 3)


def test_words_are_ordered_by_relevance_so_that_the_best_seller_does_not_lead_every_topic(topics):
    assert topics.distributions.idxmax(axis=1).tolist()[:2] == ["bag", "bag"]
    assert not topics.words(1)["words"].eq("bag").any()
    overall = COUNTS.sum() / COUNTS.to_numpy().sum()
    relevance = 0.6 * np.log(topics.distributions) + 0.4 * np.log(topics.distributions / overall)
    assert topics.words(3)["words"].tolist() == ["; ".join(row.nlargest(3).index) for _, row in relevance.iterrows()]


def test_titles_are_printed_for_ids_once_each_and_the_id_where_there_is_none(topics):
    titles = {"tea": "Green tea", "mug": "Stoneware", "pot": "Stoneware"}
    words = topics.words(9, titles)["words"].iloc[0].split("; ")
    assert words.count("Stoneware") == 1 and "Green tea" in words and "car" in words and len(words) == 9
    assert topics.words(3, pd.Series(titles)).equals(topics.words(3, titles))
    assert topics.words(3, pd.concat([pd.Series(titles), pd.Series({"tea": "Black tea"})])).equals(topics.words(3, titles))


def test_a_column_nobody_touched_is_no_word_of_any_topic():
    words = Topics(2, rng=0).fit(COUNTS.assign(dust=0)).words(50)["words"]
    assert not words.str.contains("dust").any() and (words.str.count("; ") == COUNTS.shape[1] - 1).all()


def test_perplexity_prefers_the_true_number_of_topics_on_new_users():
    train, new = planted(bestseller=False), planted(seed=1, bestseller=False)
    learned = {n: Topics(n, rng=0).fit(train) for n in (1, 2, 3)}
    surprise = {n: topics.perplexity(new) for n, topics in learned.items()}
    assert surprise[3] < 0.95 * surprise[2] < 0.95**2 * surprise[1] and surprise[1] < 10
    rng = np.random.default_rng(0)
    flat = new * 0 + rng.multinomial(30, new.sum() / new.to_numpy().sum(), len(new))  # columns as before, no topics in them
    assert learned[3].perplexity(flat) > learned[1].perplexity(flat)


def test_a_model_that_knows_nothing_is_as_surprised_as_there_are_columns():
    flat = pd.DataFrame(np.full((40, 7), 5), index=range(40), columns=list("abcdefg"))
    assert Topics(1, rng=0).fit(flat).perplexity(flat) == pytest.approx(7, rel=1e-3)


def test_the_same_seed_gives_the_same_topics_and_the_callers_table_is_left_alone(topics):
    before = COUNTS.copy()
    again = Topics(3, rng=np.random.default_rng(0)).fit(COUNTS)
    assert_frame_equal(topics.distributions, again.distributions, check_exact=True)
    assert_frame_equal(topics.transform(COUNTS), again.transform(COUNTS[COUNTS.columns[::-1]]), rtol=1e-9)
    assert_frame_equal(COUNTS, before)


def test_an_interest_matrix_is_taken_as_it_is(market):
    seen = Interactions.from_events(market.events)
    topics = Topics(5, rng=0).fit(seen)
    assert topics.words(4, market.items.set_index("item_id")["title"])["words"].str.count("; ").eq(3).all()
    table = pd.DataFrame(seen.matrix.toarray()[:50], index=seen.users[:50], columns=seen.items)
    assert_frame_equal(topics.transform(seen)[:50], topics.transform(table), rtol=1e-6)


def test_on_the_market_topics_of_categories_tell_new_users_better_than_popularity(market):
    leaf = market.events["item_id"].map(market.items.set_index("item_id")["category"])
    counts = pd.crosstab(market.events["user_id"], leaf)
    train, new = counts[::2], counts[1::2]
    assert Topics(5, rng=0).fit(train).perplexity(new) < 0.75 * Topics(1, rng=0).fit(train).perplexity(new)


def test_what_is_no_count_is_refused_with_the_reason(topics):
    components = Fusion(3).fit_transform({"all": COUNTS})
    cases = [
        (lambda: Topics(2).fit(components), "(?s)column 'f0.' holds -.*LDA explains counts.*not PCA components"),
        (lambda: topics.transform(-COUNTS), "LDA explains counts"),
        (lambda: Topics(2).fit(COUNTS * 0), "all counts are zero"),
        (lambda: Topics(2).fit(COUNTS.astype(float).mask(COUNTS == 7)), "missing or infinite"),
        (lambda: topics.transform(COUNTS.drop(columns="tea")), "1 columns are missing"),
        (lambda: topics.perplexity(COUNTS / 7), "must be whole numbers"),
        (lambda: topics.perplexity(COUNTS * 0), "too few counts"),
    ]
    for call, message in cases:
        with pytest.raises(SchemaError, match=message):
            call()
    with pytest.raises(ValueError, match="n must be at least 1"):
        Topics(0)
    with pytest.raises(ValueError, match="words: n must be at least 1, not -1"):
        topics.words(-1)
    with pytest.raises(RuntimeError, match="call fit"):
        Topics().words()


@pytest.mark.filterwarnings("error")
def test_one_user_one_column_and_more_topics_than_columns_are_no_trouble():
    assert Topics(3, rng=0).fit(COUNTS[:1]).transform(COUNTS[:2]).shape == (2, 3)
    assert Topics(1, rng=0).fit(COUNTS[["tea"]]).words()["words"].tolist() == ["tea"]
    assert Topics(4, rng=0).fit(COUNTS[["tea", "car"]]).transform(COUNTS[["tea", "car"]]).sum(axis=1).round(9).eq(1).all()
