"""The layered interest as its formulas stand, from the whole log and without a trick: what `InterestState` is compared with."""

import numpy as np
import pandas as pd

from recsys_kit.interest.state import HALF_LIVES

DAY = 86_400.0
VECTORS = np.random.default_rng(7).normal(size=(6, 3)).astype(np.float32).astype(float)
ITEMS = pd.DataFrame({"item_id": ["i3", "i1", "i0", "i4", "i2", "i5"],
                      "category": ["toys/soft/bears", "books", "books/crime", None, "toys/soft", "toys"]})
MEMBERSHIP = pd.DataFrame({"gifts": [1.0, 0.3, 0.0], "trade": [0.0, 0.7, 1.0]}, index=["u0", "u1", "u2"])


def log(events=200, rng=0, users=5, items=6, days=120) -> pd.DataFrame:
    """A random log: several events at one instant, some of them twice, users u3 and u4 without a membership."""
    rng = np.random.default_rng(rng)
    table = pd.DataFrame({"user_id": [f"u{n}" for n in rng.integers(0, users, events)],
                          "item_id": [f"i{n}" for n in rng.integers(0, items, events)],
                          "behaviour": rng.choice(["view", "purchase"], events),
                          "timestamp": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, days, events)), "D")})
    return pd.concat([table, table.iloc[::20]]).sort_values("timestamp", kind="stable", ignore_index=True)


def plain_layers(events, user, at, *, weights=None, half_lives=None, kappa=5.0) -> pd.DataFrame:
    """The five layers of one user, each a sum over all events."""
    ids = sorted(ITEMS["item_id"])
    path = ITEMS.set_index("item_id")["category"]
    days = HALF_LIVES | (half_lives or {})
    age = (pd.Timestamp(at) - events["timestamp"]).dt.total_seconds().to_numpy() / DAY
    beta = np.ones(len(events)) if weights is None else events["behaviour"].map(weights).fillna(0).to_numpy(dtype=float)
    fade = {layer: beta * (1 if h is None else 2 ** (-age / h)) for layer, h in days.items()}
    item, mine = np.array([ids.index(i) for i in events["item_id"]]), (events["user_id"] == user).to_numpy()
    overall = np.bincount(item, fade["overall"], len(ids))
    among = np.zeros(len(ids))
    if user in MEMBERSHIP.index:
        m = MEMBERSHIP.reindex(events["user_id"]).fillna(0).to_numpy() @ MEMBERSHIP.loc[user].to_numpy()
        among = np.bincount(item, fade["stratum"] * m, len(ids))
    def above(name):
        steps = path[name].split("/") if isinstance(path[name], str) else []
        return ["/".join(steps[:n]) for n in range(1, len(steps) + 1)]
    profile, mass = {}, 0.0
    for name, weight, own in zip(events["item_id"], fade["domain"], mine, strict=True):
        if own and above(name):
            mass += weight
            for category in above(name):
                profile[category] = profile.get(category, 0.0) + weight
    domain = [sum(profile.get(category, 0.0) for category in above(name)) / (mass + kappa) / 3 for name in ids]
    long, short = ((fade[layer] * mine) @ VECTORS[item] for layer in ("long", "short"))
    long = long / ((fade["long"] * mine).sum() + kappa)
    short = (short + kappa * long) / ((fade["short"] * mine).sum() + kappa)
    return pd.DataFrame({"overall": overall / overall.sum(), "stratum": among / (among.sum() or 1), "domain": domain,
                         "long": VECTORS @ long, "short": VECTORS @ short}, index=pd.Index(ids, name="item_id"))
