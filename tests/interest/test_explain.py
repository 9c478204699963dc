"""An explanation is true: every number of its sentence is counted again, from the raw log."""

import re
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from recsys_kit import clean, load, models
from recsys_kit.data import catalog
from recsys_kit.interest.explain import Explanation, explain, explain_list
from recsys_kit.interest.layered import LayeredInterest
from recsys_kit.models.base import NotFittedError
from tests.interest.logs import catalogue, log

SETTINGS = dict(strata=4, refresh_days=10, burn_in=50, l2=5)
LOG, CATALOGUE = log(), catalogue()
LOGS = {"small": 0, "market": 100, "movielens-100k": 30, "online-retail": 60}  # users of each
TITLED = r"'[^;]*?'(?= |;|,|\.$)"
DATE = r"(\d+ [A-Z]\w+ \d{4})"
SHOP = re.compile(rf"^(\w+) (\d+) times? in the shop (?:in the last ([\d.]+) days?|since {DATE})(.*)$")
PEERS = re.compile(r"^(\w+) (\d+) times? (?:in the last ([\d.]+) days?|since .*) by customers of (like taste|your stratum)")
NARROWER = re.compile(r", (\d+) of (?:them|those)(?: (?:in the last ([\d.]+) days?|since [^,]*?))?"
                      r"(?: by customers of (like taste|your stratum))?(?=,|$)")
DOMAIN = re.compile(rf"^you (\w+) (\d+) things? of '(.*)', the last on {DATE}$")
TASTE = re.compile(rf"^goes with '(.*?)'(?: and '(.*)')?(?:, which you (\w+) on {DATE}(?: and {DATE})?)?$")
WORDS = re.compile(rf"^its title shares (.*?) with '(.*)'(?:, which you (\w+) on {DATE})?$")
LEFT = re.compile(r"^against it: you left it in (\d+) visits?, each at most ([\d.]+) days? after others (\w+) it$")


@lru_cache
def real(name) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Events in order of time, and items; of the market only what is more than a glance."""
    if name == "small":
        return LOG, CATALOGUE
    if name != "market" and catalog.find(catalog.entry(name))[0] is None:
        pytest.skip(f"{name} is not here: set RECSYS_KIT_DATA")
    data = load(name, max_users=LOGS[name], seed=0)
    events = clean(data.events, not_products=data.not_products).events
    events = events[~events["behaviour"].isin(["view", "return"])]
    return events.sort_values("timestamp", kind="stable", ignore_index=True), data.items


@lru_cache
def fitted(name="small", before=None, **settings) -> LayeredInterest:
    events, items = real(name)
    if before is not None:
        events = events[events["timestamp"] < before]
    return LayeredInterest(**SETTINGS | settings).fit(events, items=items)


def some(name, n=5) -> list[str]:
    """Users with a short, a middling and a long history."""
    counts = real(name)[0]["user_id"].value_counts()
    return counts.index[np.linspace(0, len(counts) - 1, n).astype(int)].tolist()


@lru_cache
def told(name, **settings) -> list[tuple[str, str, Explanation]]:
    """Explanations of the best items of some users, of the worst, and of some in between."""
    model = fitted(name, **settings)
    found = []
    for user in [*some(name), "nobody"]:
        scores = pd.Series(model.score([user])[0], model.items_)
        order = scores.sort_values(kind="stable").index
        for item in [*order[-3:], *order[:2], *order[::max(1, len(order) // 3)], model.parts(user)["missed"].idxmin()]:
            found.append((user, item, explain(model, user, item)))
    return found


def date(text) -> pd.Timestamp:
    return pd.to_datetime(text, format="%d %B %Y")


def visits(events) -> int:
    return len(events[["user_id", "timestamp", "item_id"]].drop_duplicates())


def count(events, item, now, days=None) -> int:
    """Visits with an item, of so many days."""
    since = events["timestamp"].min() if days is None else now - pd.Timedelta(days=float(days))
    return visits(events[(events["item_id"] == item) & (events["timestamp"] >= since)])


def peers(model, name, user, item, events, now) -> pd.DataFrame:
    """The visits with an item of those like the user, from the vectors that the model has and the formula as it stands."""
    layer, days = model._layers["kindred" if name == "like taste" else "stratum"], 8 * model.short_days
    past, number, names = model._past, model._number[user], list(model._number)
    window = np.flatnonzero(past.time[:past.visits] >= now.timestamp() - days * 86_400)
    if name == "like taste":
        others = window[past.user[window] != number]
        own = model._space.users.values[number].astype(float)
        likeness = np.exp(8 * (layer.visitors.values[others].astype(float) @ own / max(np.linalg.norm(own), 1e-12) - 1))
        alike = others[likeness > likeness.mean() * (1 + 1e-6)]
    else:
        stratum = layer.membership(np.arange(len(names))).argmax(axis=1)
        alike = window[stratum[past.user[window]] == stratum[number]]
    rows = pd.DataFrame({"user_id": [names[past.user[visit]] for visit in alike],
                         "timestamp": pd.to_datetime(past.time[alike], unit="s").astype("datetime64[s]")})
    return rows.merge(events[events["item_id"] == item], on=["user_id", "timestamp"])


def recount(model, user, item, told: Explanation, events, items, now) -> list[str]:
    """Compare every clause of a sentence with the log, and with the events that it came with; returns the clauses' kinds."""
    mine, kinds = events[events["user_id"] == user], []
    newcomer = mine.empty
    title = items.set_index("item_id")["title"] if items is not None and "title" in items else None
    path = items.set_index("item_id")["category"] if items is not None and "category" in items else None
    shown = {layer: rows for layer, rows in told.events.groupby("layer")}
    spoken = set()

    def named(text, among):
        """The user's item that goes by this name."""
        names = pd.Series(among, among) if title is None else title.reindex(among).fillna(pd.Series(among, among))
        [one] = names.index[names == text].intersection(pd.Index(told.events["item_id"]))[:1]
        return one

    def peer(name, number):
        layer = "kindred" if name == "like taste" else "stratum"
        assert number == visits(peers(model, name, user, item, events, now)) == visits(shown[layer])
        spoken.add(layer)

    assert told.sentence[0].isupper() and told.sentence.endswith(".")
    sentence = told.sentence[0].lower() + told.sentence[1:-1] if not told.sentence.startswith("'") else told.sentence[:-1]
    for clause in sentence.split("; "):
        if shop := SHOP.match(clause):
            did, number, days, since, rest = shop.groups()
            assert since is None or date(since) == events["timestamp"].min().normalize()
            widest = "rising" if float(days or 1e9) == 8 * model.short_days else "popular"
            assert int(number) == count(events, item, now, days) > 0
            layers = {"popular", "rising", "kindred", "stratum"} if newcomer else {"popular", "rising"}
            layers = [layer for layer in layers if layer in shown and visits(shown[layer]) == int(number)]
            assert widest in layers or layers
            spoken |= set(layers)
            end = 0
            for more in NARROWER.finditer(rest):
                assert more.start() == end
                end = more.end()
                if more[3]:
                    peer(more[3], int(more[1]))
                else:
                    assert int(more[1]) == count(events, item, now, 8 * model.short_days)
                    same = [layer for layer in shown if visits(shown[layer]) == int(more[1])]
                    assert same and (newcomer or "rising" in same)
                    spoken |= set(same)
            assert end == len(rest), rest
            kinds.append("shop" if not rest else "shop and peers")
        elif of := PEERS.match(clause):
            did, number, days, who = of.groups()
            peer(who, int(number))
            if more := re.search(r", (\d+) times? by customers of (like taste|your stratum)$", clause):
                peer(more[2], int(more[1]))
            kinds.append(who)
        elif own := DOMAIN.match(clause):
            did, number, category, last = own.groups()
            inside = mine[[str(one) == category or str(one).startswith(category + "/") for one in path.reindex(mine["item_id"])]]
            steps = str(path[item]).split("/")
            assert category == "/".join(steps[:category.count("/") + 1])
            finer = "/".join(steps[:category.count("/") + 2])  # the finest in which the user has something
            assert finer == category or not [one for one in path.reindex(mine["item_id"]) if f"{one}/".startswith(f"{finer}/")]
            assert int(number) == visits(inside) == visits(shown["domain"])
            assert inside["timestamp"].max().normalize() == date(last)
            spoken.add("domain")
            kinds.append("domain")
        elif goes := TASTE.match(clause):
            first, second, did, *days = goes.groups()
            owned = [named(text, mine["item_id"].unique()) for text in (first, second) if text]
            assert owned == shown["taste"]["item_id"].tolist()
            last = mine.groupby("item_id")["timestamp"].max()
            days = [day for day in days if day] or re.findall(f"which you .*? on {DATE}", sentence)  # the clause before has the day
            assert [date(day) for day in days] == list(dict.fromkeys(last[owned].dt.normalize()))
            adds = {one: 2 ** (-(now - last[one]).total_seconds() / 86_400 / model.taste_days) * model._layers["taste"].goes_with(
                model.items_.get_indexer([one]), np.ones(1, np.float32))[model.items_.get_loc(item)] for one in last.index}
            assert adds[owned[0]] == pytest.approx(max(adds.values()), rel=1e-3) and adds[owned[0]] > 0
            spoken.add("taste")
            kinds.append("taste")
        elif shares := WORDS.match(clause):
            words, other, did, day = shares.groups()
            [other] = shown["words"]["item_id"]
            assert all(word in re.findall(r"[^\W\d_]+", title[one].lower()) for word in re.findall(r"'([^']*)'", words)
                       for one in (item, other)) and words
            when = mine.loc[mine["item_id"] == other, "timestamp"].max()
            assert day is None or when.normalize() == date(day)
            assert title[other] in clause and other != item
            spoken.add("words")
            kinds.append("words")
        elif left := LEFT.match(clause):
            number, days, did = left.groups()
            assert told.parts.sum() < 0 and told.parts.idxmin() == "missed"
            assert item not in mine["item_id"].tolist() and float(days) == 8 * model.short_days
            theirs = events.loc[events["item_id"] == item, "timestamp"]
            there = [moment for moment in mine["timestamp"].unique()
                     if ((theirs < moment) & (theirs >= moment - pd.Timedelta(days=float(days)))).any()]
            own = shown["missed"][shown["missed"]["user_id"] == user]
            assert int(number) == len(there) == own["timestamp"].nunique()
            assert set(shown["missed"].loc[shown["missed"]["user_id"] != user, "item_id"]) == {item}
            spoken.add("missed")
            kinds.append("missed")
        else:
            assert clause == "all the same the average item stands higher" or clause.startswith("no visit speaks for '"), clause
            assert told.parts.sum() < 0 or clause.startswith("no visit") and told.events.empty
            kinds.append("none")
    assert spoken == set(shown)
    return kinds


# True ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LOGS)
def test_every_number_and_date_of_a_sentence_is_counted_again_from_the_log(name):
    events, items = real(name)
    model, now = fitted(name), events["timestamp"].max()
    kinds = [kind for user, item, one in told(name) for kind in recount(model, user, item, one, events, items, now)]
    assert {"shop", "taste"} <= set(kinds) and len(set(kinds)) >= 5


@pytest.mark.parametrize("name", LOGS)
def test_the_events_of_an_explanation_stand_in_the_log(name):
    events = real(name)[0]
    there = set(events[["user_id", "timestamp", "item_id"]].itertuples(index=False, name=None))
    rows = 0
    for _, _, one in told(name):
        assert list(one.events) == ["user_id", "timestamp", "item_id", "layer"] and not one.events.duplicated().any()
        assert one.events["timestamp"].dtype == "datetime64[s]"
        assert set(one.events.drop(columns="layer").itertuples(index=False, name=None)) <= there
        rows += len(one.events)
    assert rows > 100


@pytest.mark.parametrize("name", LOGS)
def test_the_parts_add_up_to_the_score_and_are_told_from_the_largest_on(name):
    model = fitted(name)
    for user, item, one in told(name):
        assert one.parts.sum() == pytest.approx(model.score([user])[0][model.items_.get_loc(item)])
        assert one.parts.to_dict() == pytest.approx(model.parts(user).loc[item].to_dict())
        assert one.parts.is_monotonic_decreasing and str(one) == one.sentence
        reasons = [layer for layer in one.events["layer"].unique() if layer != "missed"]
        weights = dict(zip(model.columns_, model.weights_, strict=True))
        strong = [column.removeprefix("recent_") for column, adds in one.parts.items()
                  if weights[column] > 0 and adds > one.parts.max() / 10]
        assert reasons == [layer for layer in dict.fromkeys(strong) if layer in reasons] and len(reasons) <= 3


def test_what_adds_most_is_told_wherever_a_visit_shows_it():
    """The first of the columns that add and have visits behind them is never left out."""
    for user, item, one in told("small"):
        with_events = set(one.events["layer"])
        events, weights = real("small")[0], dict(zip(fitted().columns_, fitted().weights_, strict=True))
        first = one.parts.index[0]
        if user != "nobody" and weights["popular"] > 0 and first == "popular" and (events["item_id"] == item).any():
            assert "popular" in with_events
        if user != "nobody" and first.removeprefix("recent_") == "taste" and weights[first] > 0:
            assert "taste" in with_events


# Time ---------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["small", "market"])
def test_at_an_earlier_moment_it_says_what_it_would_have_said_then_and_speaks_of_nothing_later(name):
    events, items = real(name)
    at = events["timestamp"].iloc[len(events) // 2]
    model, then = fitted(name), fitted(name, before=at)
    before = events[events["timestamp"] < at]
    told = 0
    for user in some(name, 3):
        item = then.items_[int(np.argmax(then.score([user])[0]))]
        now, early = explain(model, user, item, at=at), explain(then, user, item, at=at)
        assert now.sentence == early.sentence != explain(model, user, item).sentence
        pd.testing.assert_frame_equal(now.events, early.events)
        assert now.parts.to_dict() == early.parts.to_dict()
        assert (now.events["timestamp"] < at).all()
        recount(then, user, item, now, before, items, at)
        told += len(now.events)
    assert told > 10


def test_before_the_first_event_there_is_nothing_to_speak_of():
    one = explain(fitted(), "u03", "i01", at="2020-01-01")
    assert one.sentence == "No visit speaks for 'tin tin no 7'." and one.events.empty


def test_the_window_moves_on_with_the_moment_asked_for():
    events, items = real("small")
    last = events["timestamp"].max()
    for days in (3, 20, 31):
        at = last + pd.Timedelta(days=days)
        for user in some("small"):
            item = fitted().recommend([user], 1, at=at)["item_id"].iloc[0]
            recount(fitted(), user, item, explain(fitted(), user, item, at), events, items, at)


def test_a_shop_whose_trend_outlives_its_popularity_is_counted_right_too():
    """The narrower count of a clause is never over the longer time."""
    model = LayeredInterest(**SETTINGS, short_days=10.0, long_days=2.0).fit(LOG, items=CATALOGUE)
    model._weighing[""].weights, narrower = np.abs(model.weights_), 0
    for user in some("small"):
        for item in model.items_:
            for clause in explain(model, user, item).sentence.split("; "):
                counts = [int(number) for number in re.findall(r"ouched (\d+) times? in the shop|, (\d+) of them", clause)
                          for number in number if number]
                assert all(one <= counts[0] for one in counts[1:])
                narrower += len(counts) > 1
    assert narrower > 10


def test_after_an_update_and_a_reload_it_speaks_of_what_came(tmp_path):
    model = LayeredInterest(**SETTINGS).fit(LOG.assign(behaviour="purchase"), items=CATALOGUE)
    assert "ouched" not in explain(model, "u03", "i05").sentence
    again = models.load(model.save(tmp_path / "model.npz"))
    later = LOG["timestamp"].max() + pd.Timedelta(days=1)
    more = pd.DataFrame({"user_id": [f"u{n:02d}" for n in range(4, 10)], "item_id": "i05", "behaviour": "purchase",
                         "timestamp": later})
    for item in model.items_:
        assert explain(again, "u03", item).sentence == explain(model, "u03", item).sentence
    for each in (model, again):
        each.update(more)
    one = explain(again, "nobody", "i05")
    assert one.sentence == explain(model, "nobody", "i05").sentence
    assert one.events.loc[one.events["timestamp"] == later, "user_id"].nunique() == 6


# Who and what -------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", LOGS)
def test_a_newcomer_is_told_of_the_shop_alone(name):
    for item, one in [(item, one) for user, item, one in told(name) if user == "nobody"]:
        assert "you" not in re.sub(r"'.*?'", "", one.sentence) and "taste" not in one.sentence and "stratum" not in one.sentence
        assert set(one.events["layer"]) <= {"popular", "rising", "stratum", "kindred"}
        assert set(one.events["item_id"]) <= {item}
    assert any(len(one.events) for user, _, one in told(name) if user == "nobody")


def test_an_item_that_is_not_there_is_refused_with_the_nearest_that_is():
    with pytest.raises(ValueError, match="'i0' is not in the catalogue of this model; did you mean 'i10'"):
        explain(fitted(), "u03", "i0")
    with pytest.raises(ValueError, match="'qqq' is not in the catalogue of this model$"):
        explain(fitted(), "u03", "qqq")
    with pytest.raises(NotFittedError):
        explain(LayeredInterest(), "u03", "i01")


@pytest.mark.parametrize(("behaviours", "word"), [
    (["purchase"], "bought"), (["purchase", "return"], "bought"), (["view"], "viewed"), (["click"], "clicked"), (["rate"], "rated"),
    (["view", "purchase"], "touched"), (["cart"], "touched")], ids=str)
def test_it_calls_what_was_done_by_its_name(behaviours, word):
    table = LOG.assign(behaviour=np.array(behaviours)[np.arange(len(LOG)) % len(behaviours)])
    model = LayeredInterest(["overall", "taste"], **SETTINGS | dict(refresh_days=1000)).fit(table, items=CATALOGUE)
    sentences = " ".join(explain_list(model, "u03", 20)["because"]).lower()
    assert set(re.findall("bought|viewed|clicked|rated|touched", sentences)) == {word}


def test_returns_are_not_counted():
    table = LOG.assign(behaviour=np.where(np.arange(len(LOG)) % 3 == 0, "return", "purchase"))
    bought = table[table["behaviour"] == "purchase"]
    model, told = LayeredInterest(["overall"], **SETTINGS).fit(table, items=CATALOGUE), 0
    for item in model.items_:
        one = explain(model, "nobody", item)
        if not one.events.empty:
            told += 1
            recount(model, "nobody", item, one, bought, CATALOGUE, bought["timestamp"].max())
    assert told > 5


def test_without_titles_items_go_by_their_ids_and_without_categories_none_is_named():
    model = LayeredInterest(**SETTINGS).fit(LOG)
    sentences = explain_list(model, "u03", 20)["because"]
    assert sentences.str.contains(r"oes with 'i\d\d'").any() and not sentences.str.contains("title|things of").any()
    named = explain(fitted(), "u03", "i08").sentence  # has no title
    assert "title" not in named


def test_a_category_is_the_same_with_a_slash_before_behind_or_doubled():
    """What stands between two slashes and is empty is no category, and none to be told of."""
    slashed = CATALOGUE.assign(category="/" + CATALOGUE["category"].str.replace("/", "//", n=1) + "/")
    plain, model = (LayeredInterest(["domain"], **SETTINGS).fit(LOG, items=items) for items in (CATALOGUE, slashed))
    assert np.array_equal(model.score(["u03", "nobody"]), plain.score(["u03", "nobody"]))
    for item in model.items_:
        assert explain(model, "u03", item).sentence == explain(plain, "u03", item).sentence


def missing_chances(**settings) -> tuple[LayeredInterest, pd.DataFrame]:
    """Everybody buys 'hit' day after day; 'steady' is there each day and buys something else, never that."""
    rows = []
    for day in range(40):
        time = pd.Timestamp("2024-01-01") + pd.Timedelta(days=day)
        rows += [(f"u{day}", "hit", time), ("steady", f"own{day % 20:02d}", time + pd.Timedelta(hours=5)),
                 (f"v{day}", f"own{day % 7:02d}", time)]
    later = pd.Timestamp("2024-05-01")  # nobody buys it any more
    rows += [("steady", f"own{day:02d}", later + pd.Timedelta(days=day)) for day in range(5)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]).assign(behaviour="purchase")
    return LayeredInterest(["missed", "taste"], **SETTINGS | dict(burn_in=1000) | settings).fit(
        table, items=pd.DataFrame({"item_id": ["hit", "new", *[f"own{n:02d}" for n in range(20)]]})), table


def test_chances_that_were_missed_are_told_where_they_are_the_reason():
    model, table = missing_chances()
    assert model.weights_[model.columns_.index("missed")] < 0
    one = explain(model, "steady", "hit")
    assert one.sentence == "Against it: you left it in 40 visits, each at most 32 days after others bought it."
    assert one.parts.idxmin() == "missed" and one.parts.sum() < 0
    assert recount(model, "steady", "hit", one, table, None, table["timestamp"].max()) == ["missed"]
    for user, item in [("steady", "new"), ("u1", "hit"), ("nobody", "hit")]:
        assert "left it" not in explain(model, user, item).sentence
    owned, _ = missing_chances(repeats=True)
    assert "left it" not in explain(owned, "steady", "own01").sentence


def test_a_column_that_speaks_for_an_item_by_its_absence_is_no_reason():
    """With a weight below zero a column adds to what has little of it: there is no visit to show."""
    model = LayeredInterest(**SETTINGS).fit(LOG, items=CATALOGUE)
    model._weighing[""].weights = -np.abs(model.weights_)
    one = [explain(model, "u03", item) for item in model.items_]
    assert all(set(each.events["layer"]) <= {"missed"} for each in one)
    assert any(each.parts.max() > 0.1 for each in one)


@pytest.mark.parametrize("weights", [[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 1.0]], ids=str)
def test_a_stratum_speaks_of_its_own_customers(weights):
    """Where it has earned a weight above zero, which on these logs it has not."""
    model = LayeredInterest(["overall", "stratum"], **SETTINGS).fit(LOG, items=CATALOGUE)
    model._weighing[""].weights, told = np.array(weights), []
    for user in some("small"):
        for item in model.items_:
            one = explain(model, user, item)
            recount(model, user, item, one, LOG, CATALOGUE, LOG["timestamp"].max())
            told.append("by customers of your stratum" in one.sentence)
    assert 0 < sum(told) < len(told)


def test_a_control_is_called_what_it_is():
    model = LayeredInterest(["random_strata"], **SETTINGS).fit(LOG, items=CATALOGUE)
    model._weighing[""].weights = np.array([1.0])
    sentences = [explain(model, user, item).sentence for user in some("small") for item in model.items_]
    assert any("by customers drawn at random" in sentence for sentence in sentences)


def test_to_explain_changes_nothing():
    model, quiet = (LayeredInterest(**SETTINGS).fit(LOG, items=CATALOGUE) for _ in range(2))
    for item in model.items_:
        explain(model, "u03", item)
    explain(model, "nobody", "i01")
    for each in (model, quiet):
        each.update(LOG.tail(30).assign(timestamp=LOG["timestamp"].max()))
    users = sorted(LOG["user_id"].unique())
    assert np.array_equal(model.score(users), quiet.score(users)) and "nobody" not in model._number


# Lists --------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("at", [None, "2024-02-15", "2030-01-01"])
def test_a_list_is_the_models_own_with_the_sentence_of_each_item(at):
    model = fitted()
    for user in ("u03", "nobody"):
        table = explain_list(model, user, 5, at=at)
        pd.testing.assert_frame_equal(table.drop(columns="because"), model.recommend([user], 5, at=at))
        assert table["because"].tolist() == [explain(model, user, item, at).sentence for item in table["item_id"]]
    with pytest.raises(ValueError, match="at least one item"):
        explain_list(model, "u03", 0)


def test_what_is_owned_is_listed_where_it_may_be_wanted_again():
    again = fitted(repeats=True)
    owned = set(LOG.loc[LOG["user_id"] == "u03", "item_id"])
    assert owned & set(explain_list(again, "u03", 20)["item_id"]) == owned
    assert not owned & set(explain_list(fitted(), "u03", 20)["item_id"])
