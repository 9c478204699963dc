"""What sets a stratum apart, in words that a shop manager reads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import CATEGORY, ITEM, TITLE, coerce_items
from recsys_kit.strata.contrasts import HOURS, WEEKEND, chance, comparable, effects, smooth
from recsys_kit.strata.labels import as_labels
from recsys_kit.strata.result import NOISE, STRATUM, totals

MATTERS = 0.3  # standard deviations; Cohen (1988) calls .2 small and .5 medium
PHRASES, CATEGORIES, HABITS = 6, 3, 2  # at most so many phrases, and of these categories and behaviours
SMOOTHING = 10  # touches added to those seen and to those expected
COUNTS = {  # (more than the others, less, unit of the median)
    "events": ("more active", "less active", "event"),
    "frequency": ("comes more often", "comes less often", "visit"),
    "recency_days": ("last here longer ago", "here more recently", "day"),
    "session_length": ("longer visits", "shorter visits", "event"),
    "spend": ("spends more", "spends less", ""),
}
LEVELS = {"price_level": ("dearer within the category", "cheaper within the category"),
          WEEKEND: ("more at weekends", "more on weekdays")}
BEHAVIOURS = {  # (a larger share of the events than of the others', a smaller one)
    "behaviour_view": ("looks around more", "looks around less"),
    "behaviour_click": ("opens more", "opens less"),
    "behaviour_favourite": ("marks more favourites", "marks fewer favourites"),
    "behaviour_cart": ("puts more in the cart", "puts less in the cart"),
    "behaviour_purchase": ("buys more readily", "buys less readily"),
    "behaviour_rate": ("rates more", "rates less"), "behaviour_return": ("returns more", "returns less"),
}
DAY = ((5, "at night"), (11, "in the morning"), (14, "around noon"), (18, "in the afternoon"), (22, "in the evening"),
       (24, "late in the evening"))


def describe(labels: pd.Series, features: pd.DataFrame, *, interactions: Interactions | None = None,
             items: pd.DataFrame | None = None, top: int = 3) -> pd.DataFrame:
    """One row per stratum: ``users``, ``share``, ``description``, and with ``interactions`` the ``items`` that set it apart.

    labels : ``Strata.labels``. features : what `features.user_features` returns, or any numbers (told as "high <name>"); a row for
    each of these users. interactions : who touched what. items : with ``title``, to name them. top : how many items.

    A difference to the other users gets words if it is at least 0.3 standard deviations (see `contrasts`) *and* beyond what
    random strata of the same sizes show in any feature (95 of 100 times), so a stratum of which nothing is true has a chance
    of 5 % to be told anything. The strongest come first, six at most; a stratum that nothing sets apart is "like the average
    user". Every word compares with the other users: "more on weekdays" is not "only on weekdays".

    Hours are one phrase, naming the hour where the stratum's day rises most above the others' day. Hours and weekdays are UTC, as
    all times in the kit: a shop in Shanghai reads "around 13 h" as 21 h. "2.9 x the average" compares the stratum's mean share
    with that of all users. Beside counts stand medians. Of ``events`` and ``frequency``, which say nearly the same, the stronger
    speaks, and of behaviours the two strongest.

    Items have the highest smoothed lift ``(seen + 10) / (expected + 10)``: in how many users of the stratum, against how many if
    the stratum's touches were shared out as all users' are; so a rare item that two of two users touched says little (in the
    way of DuMouchel's gamma-Poisson shrinkage, 1999). Several touches of one item by one user count once. Noise is the last
    row, "no stratum". Raises `SchemaError` for users without features, labels that are missing or come twice, and
    broken features (see `as_table`).
    """
    labels = as_labels(labels, "describe")
    table = comparable(labels, features)
    raw = features.loc[labels.index].astype("float64")
    apart, bound = effects(labels, table), chance(labels, table)
    told = {}
    for stratum in apart.index:
        inside = (labels == stratum).to_numpy()
        phrases = _phrases(raw, inside, apart.loc[stratum], max(MATTERS, bound[stratum]))
        best = sorted(phrases, key=lambda phrase: -phrase[0])[:PHRASES]  # stable: equal ones stay in order
        told[stratum] = ", ".join(text for _, text in best) or "like the average user"
    if (labels == NOISE).any():
        told[NOISE] = "no stratum"
    found = pd.DataFrame({"users": labels.value_counts(), "description": pd.Series(told, dtype="str")}).loc[list(told)]
    found.insert(1, "share", found["users"] / len(labels))
    if interactions is not None:
        found["items"] = _typical_items(labels, found.index, interactions, items, top)
    return found.rename_axis(STRATUM)


def _phrases(raw: pd.DataFrame, inside: np.ndarray, effect: pd.Series, least: float) -> Iterator[tuple[float, str]]:
    """(strength, words) of every group of features that sets these users apart from the others."""
    mean, average, elsewhere = raw[inside].mean(), raw.mean(), raw[~inside].mean()
    strong = effect[effect.abs() >= least].sort_values(key=abs, ascending=False, kind="stable")
    less = (strong < 0).astype(int)  # picks the second of two phrases
    prefix = {name: str(name).partition("_")[0] for name in strong.index}

    if set(HOURS) <= set(raw):
        peak = int(smooth((mean[HOURS] - elsewhere[HOURS]).to_numpy()).argmax())
        if HOURS[peak] in strong and not less[HOURS[peak]]:
            yield strong[HOURS[peak]], f"{next(part for end, part in DAY if peak < end)} (around {peak} h UTC)"

    active = [name for name in strong.index if name in ("events", "frequency")]
    for name in strong.index:
        if name in COUNTS and name not in active[1:]:
            *phrase, unit = COUNTS[name]
            yield abs(strong[name]), phrase[less[name]] + _beside(raw.loc[inside, name], raw.loc[~inside, name], unit)
        elif name in LEVELS:
            yield abs(strong[name]), LEVELS[name][less[name]]
        elif prefix[name] not in ("hour", "weekday", "category", "behaviour", "events", "frequency"):
            text = f"{('high', 'low')[less[name]]} {name} (mean {_number(mean[name])}, others {_number(elsewhere[name])})"
            yield abs(strong[name]), text

    habits = [name for name in strong.index if name in BEHAVIOURS]
    two = sum(str(name).startswith("behaviour_") for name in raw) == 2  # then the one says what the other does
    for name in habits[:1 if two else HABITS]:
        shares = f"({_percent(mean[name])} of events, others {_percent(elsewhere[name])})"
        yield abs(strong[name]), f"{BEHAVIOURS[name][less[name]]} {shares}"

    categories = [name for name in strong.index if prefix[name] == "category"]
    liked = [name for name in categories if not less[name]][:CATEGORIES]
    if liked:
        times = [f"{name.removeprefix('category_')} ({_number(mean[name] / average[name])} x" for name in liked]
        yield strong[liked[0]], "), ".join([f"{times[0]} the average", *times[1:]]) + ")"
    elif categories:
        part = mean[categories[0]] / average[categories[0]]
        yield abs(strong[categories[0]]), (f"{'hardly any' if part < 0.2 else 'little'} {categories[0].removeprefix('category_')} "
                                           f"({_number(part)} x the average)")


def _beside(here: pd.Series, there: pd.Series, unit: str) -> str:
    """The numbers beside a comparison of counts: medians, or means where the medians are one; nothing where they mislead."""
    for how in ("median", "mean"):
        one, other = here.agg(how), there.agg(how)
        if _number(one) != _number(other):
            agrees = (one > other) == (np.log1p(here).mean() > np.log1p(there).mean())
            unit = unit and f" {unit}{'' if _number(one) == '1' else 's'}"
            return f" ({how} {_number(one)}{unit}, others {_number(other)})" if agrees else ""
    return ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{_number(100 * share)}%"


def _typical_items(labels: pd.Series, rows: pd.Index, interactions: Interactions, items: pd.DataFrame | None,
                   top: int) -> list[str]:
    """Per row the items with the highest smoothed lift, best first."""
    touched = interactions.rows(labels.index)
    touched.data = (touched.data > 0).astype("float64")
    seen, _ = totals(touched, rows.get_indexer(labels), len(rows))
    expected = np.outer(seen.sum(axis=1), seen.sum(axis=0)) / max(seen.sum(), 1)
    lift = (seen + SMOOTHING) / (expected + SMOOTHING)
    best = np.argsort(-lift, axis=1, kind="stable")[:, :top]
    names = _names(interactions.items[np.unique(best)], items)
    return ["; ".join(f"{names[interactions.items[place]]} ({lift[row, place]:.1f} x)"
                      for place in best[row] if lift[row, place] > 1) for row in range(len(rows))]


def _names(ids: pd.Index, items: pd.DataFrame | None) -> pd.Series:
    """Titles of these items; without a title the end of the category path and the id; without that the id."""
    names = ids.to_series()
    if items is None:
        return names
    items = coerce_items(items).set_index(ITEM).reindex(ids)
    if CATEGORY in items:
        names = (items[CATEGORY].str.split("/").str[-1] + " " + names).fillna(names)
    return items[TITLE].str.split().str.join(" ").fillna(names) if TITLE in items else names
