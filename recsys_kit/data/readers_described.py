"""Readers of the sets whose items and users are described: categories, colours, genres, demographics.

The same contract as `recsys_kit.data.readers`: a `Source` in, the common tables out, no row dropped.
"""

from __future__ import annotations

import pandas as pd

from recsys_kit import schema
from recsys_kit.data.readers import by_time, most_frequent, read_csv
from recsys_kit.data.readers_rda import read_rda
from recsys_kit.data.sources import Source
from recsys_kit.schema import BEHAVIOUR, CATEGORY, ITEM, PRICE, QUANTITY, RATING, SEQ, SESSION, TIME, TITLE, USER

# Code lists of the publisher's "data description", in the order of their numbers from 1.
ESHOP_CATEGORIES = ("trousers", "skirts", "blouses", "sale")
ESHOP_COLOURS = ("beige", "black", "blue", "brown", "burgundy", "gray", "green", "navy blue", "of many colors", "olive",
                 "pink", "red", "violet", "white")
ESHOP_LOCATIONS = ("top left", "top middle", "top right", "bottom left", "bottom middle", "bottom right")
ESHOP_COUNTRIES = (
    "Australia", "Austria", "Belgium", "British Virgin Islands", "Cayman Islands", "Christmas Island", "Croatia", "Cyprus",
    "Czech Republic", "Denmark", "Estonia", "unidentified", "Faroe Islands", "Finland", "France", "Germany", "Greece",
    "Hungary", "Iceland", "India", "Ireland", "Italy", "Latvia", "Lithuania", "Luxembourg", "Mexico", "Netherlands", "Norway",
    "Poland", "Portugal", "Romania", "Russia", "San Marino", "Slovakia", "Slovenia", "Spain", "Sweden", "Switzerland",
    "Ukraine", "United Arab Emirates", "United Kingdom", "USA", "*.biz", "*.com", "*.int", "*.net", "*.org")
MOVIELENS_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western")


def _named(codes: pd.Series, names: tuple[str, ...]) -> pd.Series:
    """Code numbers from 1 as their names; a number without a name stays as it is."""
    table = {str(number): name for number, name in enumerate(names, start=1)}
    return codes.map(table).fillna(codes)


def eshop_clothing(source: Source) -> dict[str, pd.DataFrame]:
    """UCI clickstream of a clothing shop. Sessions are anonymous: the session is the user, and ``user_id`` repeats it.

    Times are days (midnight); ``seq`` is the click's place in its session. Photo place, colour, page and price belong to the
    item (one model never changes them).
    """
    table = read_csv(source, delimiter=";", numbers=("price", "order"))
    table = table.rename(columns={"page 2 (clothing model)": ITEM, "session ID": USER})
    main = table.assign(**{CATEGORY: _named(table["page 1 (main category)"], ESHOP_CATEGORIES)})
    days = table["year"] + "-" + table["month"].str.zfill(2) + "-" + table["day"].str.zfill(2)
    events = schema.coerce_events(pd.DataFrame({
        USER: table[USER], ITEM: table[ITEM], BEHAVIOUR: schema.CLICK, TIME: days, PRICE: table["price"],
        SESSION: table[USER], SEQ: table["order"]}))
    models = table.drop_duplicates(ITEM).sort_values(ITEM, ignore_index=True)
    items = pd.DataFrame({
        ITEM: models[ITEM],
        CATEGORY: models[ITEM].map(most_frequent(main, ITEM, CATEGORY)),
        PRICE: models["price"],
        "colour": _named(models["colour"], ESHOP_COLOURS),
        "location": _named(models["location"], ESHOP_LOCATIONS),
        "photography": _named(models["model photography"], ("en face", "profile")),
        "above_mean_price": models["price 2"] == "1",
        "page": models["page"]})
    users = table.drop_duplicates(USER)[[USER, "country"]].reset_index(drop=True)
    users["country"] = _named(users["country"], ESHOP_COUNTRIES)
    return {"events": by_time(events), "items": schema.coerce_items(items), "users": users}


def complete_journey(source: Source) -> dict[str, pd.DataFrame]:
    """Complete Journey: a household's purchases, with the published demographics and the products' category levels.

    ``price`` is what was paid per unit, ``sales_value / quantity``; missing where the quantity is zero (a coupon row). The
    category is ``department/product_category/product_type`` as far as given; a slash inside a level becomes a hyphen.
    """
    table, products, households = (
        read_rda(source.read(part)) if source.name(part).endswith(".rda") else read_csv(source, part, numbers=numbers)
        for part, numbers in enumerate((("quantity", "sales_value"), (), ())))
    paid = (table["sales_value"] / table["quantity"]).where(table["quantity"] > 0)
    events = schema.coerce_events(pd.DataFrame({
        USER: table["household_id"], ITEM: table["product_id"], BEHAVIOUR: schema.PURCHASE,
        TIME: table["transaction_timestamp"], QUANTITY: table["quantity"], PRICE: paid, SESSION: table["basket_id"]}))
    levels = [products[level].str.replace("/", "-") for level in ("department", "product_category", "product_type")]
    path = levels[0]
    for level in levels[1:]:
        path = path.where(level.isna(), path + "/" + level)
    items = pd.DataFrame({
        ITEM: products["product_id"], CATEGORY: path,
        PRICE: products["product_id"].map(events.groupby(ITEM)[PRICE].median()),
        "brand": products["brand"], "manufacturer_id": products["manufacturer_id"], "package_size": products["package_size"]})
    return {"events": by_time(events), "items": schema.coerce_items(items),
            "users": households.rename(columns={"household_id": USER})}


def movielens_100k(source: Source) -> dict[str, pd.DataFrame]:
    """MovieLens 100K: ratings 1 to 5 with their time. A film's genres are a set, not a path.

    ``category`` is therefore the first of its genres in the publisher's order; ``genres`` has them all, joined by '|'.
    """
    ratings = read_csv(source, delimiter="\t", names=[USER, ITEM, RATING, TIME], numbers=(RATING, TIME))
    films = read_csv(source, 1, delimiter="|", names=[ITEM, TITLE, "released", "video", "url", *MOVIELENS_GENRES])
    people = read_csv(source, 2, delimiter="|", names=[USER, "age", "gender", "occupation", "zip_code"], numbers=("age",))
    people["age"] = people["age"].astype("int64")
    genres = films[list(MOVIELENS_GENRES)].eq("1").apply(lambda row: "|".join(row.index[row]), axis=1).astype("str")
    items = pd.DataFrame({ITEM: films[ITEM], CATEGORY: genres.str.split("|").str[0], TITLE: films[TITLE],
                          "genres": genres, "released": films["released"]})
    events = ratings[[USER, ITEM]].assign(**{BEHAVIOUR: schema.RATE, TIME: ratings[TIME], RATING: ratings[RATING]})
    return {"events": by_time(schema.coerce_events(events)), "items": schema.coerce_items(items), "users": people}
