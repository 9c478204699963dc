"""MovieLens 100K in the order of its file: papers that split it at random drew their numbers in that order."""

from __future__ import annotations

import pandas as pd

from recsys_kit.data.catalog import SETS, find
from recsys_kit.data.dataset import Dataset
from recsys_kit.data.readers import read_csv
from recsys_kit.schema import ITEM, RATING, TIME, USER

FILES = {"movielens-100k": dict(delimiter="\t", names=[USER, ITEM, RATING, TIME], numbers=(RATING, TIME))}


def in_file_order(data: Dataset) -> pd.DataFrame:
    """The events of ``data`` as the publisher's file has them, numbered from 0 on; the kit's own order is by time.

    Another set than MovieLens 100K is given back as it stands. A set of some users (``max_users``) keeps those users' rows.

    >>> from recsys_kit import load
    >>> data = load("market", max_users=50)
    >>> in_file_order(data) is data.events
    True
    """
    if data.name not in FILES:
        return data.events
    source, _ = find(SETS[data.name])
    pairs = read_csv(source, **FILES[data.name])[[USER, ITEM]]
    return pairs.merge(data.events, on=[USER, ITEM], validate="one_to_one")[data.events.columns]
