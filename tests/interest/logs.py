"""A small log of visits for the layers of interest, and items with categories and titles made up."""

from itertools import pairwise

import numpy as np
import pandas as pd

from recsys_kit.interest.past import DAY, Past
from tests.models.conformance import history

ITEMS, USERS = 20, 15
WORDS = ("red", "tin", "lamp", "bear", "paper")


def catalogue() -> pd.DataFrame:
    """Twenty items: three are without a category, two without a title; one category stops a step earlier than its neighbours."""
    number = np.arange(ITEMS)
    paths = ["toys" if n == 3 else f"{('home', 'toys')[n % 2]}/{n % 3}/{n % 5}" for n in number]
    return pd.DataFrame({"item_id": [f"i{n:02d}" for n in number],
                         "category": [None if n % 7 == 6 else paths[n] for n in number],
                         "title": [None if n % 9 == 8 else f"{WORDS[n % 5]} {WORDS[n % 4]} no 7" for n in number]})


def log(rng=0, events=300) -> pd.DataFrame:
    """Events in order of time; some visits hold several items, and some hold one twice."""
    table = history(rng, users=USERS, items=ITEMS, events=events)
    rng = np.random.default_rng(rng)
    basket = table.iloc[np.sort(rng.choice(events, events // 3, replace=False))]
    again = basket.assign(item_id=[f"i{n:02d}" for n in rng.integers(0, ITEMS, len(basket))])
    table = pd.concat([table, again, table.iloc[::20]])
    return table.sort_values(["timestamp", "user_id", "item_id"], kind="stable", ignore_index=True)


def visits(table: pd.DataFrame) -> list[tuple[int, np.ndarray, float]]:
    """(user number, item numbers, seconds) of each visit, users numbered as they stand in their ids."""
    return [(int(user[1:]), part["item_id"].str[1:].astype(int).to_numpy(), time.timestamp())
            for (time, user), part in table.groupby(["timestamp", "user_id"])]


def lived(given, *parts, refresh=()) -> Past:
    """A past, and parts (layers, the space first) that saw its visits; before the visits named in ``refresh`` all learn anew."""
    past = Past()
    for place, (user, items, now) in enumerate(given):
        if place in refresh:
            for part in parts:
                part.refresh(past, now)
        for part in parts:
            part.see(past, user, items, now)
        past.add(user, items, now)
    assert all(one[2] <= other[2] for one, other in pairwise(given))
    return past


def faded(given, now, days, *, last=True) -> np.ndarray:
    """(users, items): ``2^(-age / days)`` of the last touch, or the sum over all of them."""
    table = np.zeros((USERS, ITEMS))
    for user, items, time in given:
        for item in items:
            weight = 2 ** ((time - now) / DAY / days)
            table[user, item] = weight if last else table[user, item] + weight
    return table


def by_hand_space(given, factors) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of items (up to their sign) and of users from numpy's SVD of who touched what."""
    touched = (faded(given, 0.0, np.inf) > 0).astype(float)
    right = np.linalg.svd(touched)[2][:factors].T
    return right, touched @ right


def cosines(table: np.ndarray) -> np.ndarray:
    rows = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    return rows @ rows.T
