"""Why an item stands where it stands: one plain sentence, and the visits it speaks of."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recsys_kit.interest.layered import LayeredInterest
from recsys_kit.interest.past import DAY
from recsys_kit.models.base import top_k
from recsys_kit.schema import CATEGORY, CLICK, ITEM, PURCHASE, RATE, TIME, TITLE, USER, VIEW, coerce_ids, moment

REASONS = 3  # a sentence gives no more
WINDOW = 8  # half-lives that a sentence looks back: what is older has less than 1/256 of a vote
DID = {PURCHASE: "bought", VIEW: "viewed", CLICK: "clicked", RATE: "rated"}  # a log of several behaviours: touched
PEERS = {"kindred": "customers of like taste", "stratum": "customers of your stratum",
         "random_strata": "customers drawn at random", "permuted_strata": "customers of another's stratum"}


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one item has its score for one user at one moment.

    Attributes
    ----------
    sentence : the two or three columns that add most and rest on visits, the largest first; and what counts against the item,
        where it has less than the average item and missed chances take most from it.
    parts : what each column of the model adds, relative to the average item the user may want, largest first; adds up to the score.
    events : the visits that the sentence speaks of, ``user_id, timestamp, item_id, layer``: a row for each item of a visit, and for
        each column it is a reason of. Every count of the sentence is a count of these rows.
    """

    sentence: str
    parts: pd.Series
    events: pd.DataFrame

    def __str__(self) -> str:
        return self.sentence


def explain(model: LayeredInterest, user, item, at=None) -> Explanation:
    """Why ``item`` has its score for ``user`` at a moment (None: after the last visit); an unknown user is a newcomer.

    A visit is *of like taste* if its vote (`Kindred`) is more than the average one of its age. A stratum's customers are those
    whose largest membership is in the user's own largest. Nothing after ``at`` is spoken of, as nothing of it is in the score, and
    what happened at that moment only if nothing came later; what came late to the model is dated when it came. A newcomer is told
    of the shop alone, for there is nothing else to tell.
    Raises ValueError for an item that is not in the catalogue, `NotFittedError`.
    """
    return _Teller(model, user, at).explain(_ids([item])[0])


def explain_list(model: LayeredInterest, user, k: int = 10, at=None) -> pd.DataFrame:
    """The k best items for one user, as `Ranker.recommend` gives them, with a column ``because``: the sentence of each.

    Items the user had before are listed only by a model with ``repeats=True``. Raises ValueError for k < 1, `NotFittedError`.
    """
    if k < 1:
        raise ValueError(f"k={k}: ask for at least one item")
    teller = _Teller(model, user, at)
    hidden = None if model.repeats else model._seen(pd.Index([teller.user]), moment(at))
    columns, values = top_k(teller.scores[None], k, hidden)
    there = columns[0] >= 0
    items = model.items_[columns[0][there]]
    return pd.DataFrame({USER: teller.user, ITEM: items, "score": values[0][there], "rank": np.arange(1, len(items) + 1),
                         "because": [teller.explain(item).sentence for item in items]})


class _Teller:
    """Tells of one user at one moment."""

    def __init__(self, model: LayeredInterest, user, at):
        model._check_fitted()
        self.user, at = _ids([user])[0], moment(at)
        self.model, x = model._as_of(self.user, at)
        self.columns, self.scores = x * self.model.weights_, x @ self.model.weights_
        self.past = self.model._past
        self.now = self.past.latest if at is None else at.timestamp()
        self.users, self.number = list(self.model._number), self.model._number.get(self.user, -1)
        [did] = {DID.get(name, "touched") for name in model.behaviours_} if len(model.behaviours_) == 1 else ["touched"]
        self.did, self.short = did, WINDOW * model.short_days
        self.long = max(WINDOW * model.long_days, self.short)  # a sentence counts from the wider to the narrower
        titles = self.model.texts_.get(TITLE, pd.Index([]))
        self.titles, self.paths = titles.to_numpy(), self.model.texts_.get(CATEGORY, pd.Index([])).to_numpy()
        self.line_visit = np.repeat(np.arange(self.past.visits), np.diff(self.past.starts[:self.past.visits + 1]))
        self.line_item = self.past.item[:self.past.lines]
        self.mine = self.past.user[self.line_visit] == self.number

    def explain(self, item: str) -> Explanation:
        if item not in self.model.items_:
            near = difflib.get_close_matches(item, self.model.items_, n=1)
            raise ValueError(f"explain: the item {item!r} is not in the catalogue of this model"
                             f"{f'; did you mean {near[0]!r}?' if near else ''}")
        item = self.model.items_.get_loc(item)
        parts = pd.Series(self.columns[item], index=self.model.columns_, name="adds")
        weights = dict(zip(parts.index, self.model.weights_, strict=True))
        found: dict[str, pd.DataFrame] = {}
        for column in parts.sort_values(ascending=False, kind="stable").index:
            name = column.removeprefix("recent_")  # two half-lives of one thing have the same visits behind them
            strong = parts[column] > parts.max() / 10 and weights[column] > 0
            if strong and name not in ("missed", *found) and len(found) < REASONS:
                rows = self._rows(name, item)
                if len(rows):
                    found[name] = rows
        clauses = self._clauses(found, item)
        if parts.sum() < 0 and parts.idxmin() == "missed" and parts["missed"] < 0 > weights["missed"]:
            rows = self._missed(item)
            if len(rows):
                found["missed"] = rows
                visits = rows.loc[rows[USER] == self.user, TIME].nunique()
                clauses.append(f"against it: you left it in {_times(visits, 'visit')}, each at most {_days(self.short)} after "
                               f"others {self.did} it")
        if clauses and "missed" not in found and parts.sum() < 0:
            clauses.append("all the same the average item stands higher")
        sentence = "; ".join(clauses) or f"no visit speaks for {self._name(item)}"
        events = pd.concat([rows.assign(layer=name) for name, rows in found.items()] or [self._frame([], [], []).assign(layer="")])
        return Explanation(sentence[0].upper() + sentence[1:] + ".", parts.sort_values(ascending=False, kind="stable"),
                           events.astype({"layer": "str"}).reset_index(drop=True))

    # The visits behind a column ---------------------------------------------------------------------------------------------

    def _rows(self, name: str, item: int) -> pd.DataFrame:
        """The visits that are the reason for a column, none where there are none to show."""
        nothing = self._frame([], [], [])
        if name == "popular":
            return self._visits(self._with(item, self.long), item)
        if name == "rising" or (name in PEERS and self.number < 0):
            return self._visits(self._with(item, self.short), item)
        if name in PEERS:
            return self._visits(self._of_peers(name, self._with(item, self.short)), item)
        if self.number < 0:
            return nothing
        return {"domain": self._domain, "taste": self._taste, "words": self._words}.get(name, lambda item: nothing)(item)

    def _with(self, item: int, days: float) -> np.ndarray:
        """The visits with this item, of so many days."""
        visits = np.unique(self.line_visit[self.line_item == item])
        return visits[self.past.time[visits] >= self.now - DAY * days]

    def _of_peers(self, name: str, visits: np.ndarray) -> np.ndarray:
        layer, past = self.model._layers[name], self.past
        if name == "kindred":
            first, votes = layer.votes(past, self.number, self.now)
            alike = votes * 2 ** ((self.now - past.time[first:past.visits]) / (DAY * layer.days))  # as if all were of today
            others = alike > 0
            return visits[alike[visits - first] > alike[others].mean() * (1 + 1e-6)] if others.any() else visits[:0]
        own = layer.membership([self.number])[0]
        if np.ptp(own) < 1e-6 or not len(visits):  # in no stratum more than in another
            return visits[:0]
        return visits[layer.membership(past.user[visits]).argmax(axis=1) == own.argmax()]

    def _domain(self, item: int) -> pd.DataFrame:
        lines = self.mine & self._category(item)[1][self.line_item]
        return self._frame(self.past.user[self.line_visit[lines]], self.past.time[self.line_visit[lines]], self.line_item[lines])

    def _category(self, item: int) -> tuple[str, np.ndarray]:
        """The finest category of the item in which the user has something, and which items are in it."""
        steps = self.paths[item].split("/") if self.paths[item] else []
        for depth in range(len(steps), 0, -1):
            codes = self.model._layers["domain"].levels[depth - 1]
            if (self.mine & (codes == codes[item])[self.line_item]).any():
                return "/".join(steps[:depth]), codes == codes[item]
        return "", np.zeros(len(self.paths), dtype=bool)

    def _taste(self, item: int) -> pd.DataFrame:
        items, times = self.past.history(self.number)
        layer = self.model._layers["taste"]
        return self._own(items, times, 2 ** ((times - self.now) / (DAY * layer.days)) * layer.towards(item, items))

    def _words(self, item: int) -> pd.DataFrame:
        items, times = self.past.history(self.number)
        items, times = items[items != item], times[items != item]
        table = self.model._layers["words"].table
        return self._own(items, times, (table[items] @ table[[item]].T).toarray().ravel(), most=1)

    def _own(self, items: np.ndarray, times: np.ndarray, adds: np.ndarray, most: int = 2) -> pd.DataFrame:
        """The one or two of the user's items that add most, the second only if it adds half as much as the first."""
        best = np.argsort(-adds, kind="stable")[:most]
        best = best[(adds[best] > 1e-9) & (adds[best] >= adds[best[:1]].sum() / 2)]
        return self._frame(np.full(len(best), self.number), times[best], items[best])

    def _missed(self, item: int) -> pd.DataFrame:
        """The user's visits soon after somebody else's with the item, and those."""
        visits = np.unique(self.line_visit[self.line_item == item])
        own = np.flatnonzero(self.past.user[:self.past.visits] == self.number)
        if (self.past.user[visits] == self.number).any() or not len(visits):
            return self._frame([], [], [])
        since = self.past.time[own] - DAY * self.short
        last = np.searchsorted(visits, own) - 1  # the last visit with the item before each of the user's
        own = own[(last >= 0) & (self.past.time[visits[last]] >= since)]
        near = [visits[np.searchsorted(visits, visit) - 1] for visit in own]
        lines = np.isin(self.line_visit, own)
        return pd.concat([self._frame(self.past.user[self.line_visit[lines]], self.past.time[self.line_visit[lines]],
                                      self.line_item[lines]), self._visits(np.unique(near).astype(int), item)])

    def _visits(self, visits: np.ndarray, item: int) -> pd.DataFrame:
        return self._frame(self.past.user[visits], self.past.time[visits], np.full(len(visits), item))

    def _frame(self, users: Sequence[int], seconds, items: Sequence[int]) -> pd.DataFrame:
        times = np.asarray(seconds).astype(np.int64).astype("datetime64[s]")
        return pd.DataFrame({USER: pd.Series([self.users[user] for user in users], dtype="str"), TIME: times,
                             ITEM: pd.Series(self.model.items_[np.asarray(items, dtype=int)], dtype="str")}).drop_duplicates()

    # In words ---------------------------------------------------------------------------------------------------------------

    def _clauses(self, found: dict[str, pd.DataFrame], item: int) -> list[str]:
        shop = [name for name in found if name in ("popular", "rising", *PEERS)]
        clauses, told = [], set()
        for name, rows in found.items():
            if name in shop:
                clauses += [self._shop({one: len(found[one]) for one in shop})] if name == shop[0] else []
            elif name == "domain":
                clauses.append(f"you {self.did} {_times(len(rows), 'thing')} of '{self._category(item)[0]}', the last on "
                               f"{_date(rows[TIME].max())}")
            else:
                owned = [self.model.items_.get_loc(one) for one in rows[ITEM]]
                said = " and ".join(self._name(one) for one in owned)
                if not set(owned) <= told:
                    days = list(dict.fromkeys(_date(when) for when in rows[TIME]))
                    said += f", which you {self.did} on {' and '.join(days)}"
                told |= set(owned)
                clauses.append(f"goes with {said}" if name == "taste" else
                               f"its title shares {self._shared(item, owned[0])} with {said}")
        return clauses

    def _shop(self, counts: dict[str, int]) -> str:
        """One clause for what others did, from the most to the fewest."""
        peers = {f"by {PEERS[name]}": count for name, count in counts.items() if name in PEERS and self.number >= 0}
        if self.number < 0 and set(counts) & set(PEERS):  # to a newcomer all alike are peers
            counts = counts | {"rising": next(count for name, count in counts.items() if name in PEERS)}
        short, said = self._since(self.short), ""
        if "popular" in counts:
            said = f"{self.did} {_times(counts['popular'])} in the shop {self._since(self.long)}"
            if "rising" in counts:
                said += f", {counts['rising']} of them {short}"
        elif "rising" in counts:
            said = f"{self.did} {_times(counts['rising'])} in the shop {short}"
        for who, count in peers.items():
            if not said:
                said = f"{self.did} {_times(count)} {short} {who}"
            elif "rising" in counts:
                said += f", {count} of {'those' if 'popular' in counts else 'them'} {who}"
            elif "popular" in counts:
                said += f", {count} of them {short} {who}"
            else:
                said += f", {_times(count)} {who}"
        return said

    def _since(self, days: float) -> str:
        first = self.past.time[0]
        return f"in the last {_days(days)}" if first < self.now - DAY * days else f"since {_date(pd.Timestamp(first, unit='s'))}"

    def _shared(self, item: int, other: int) -> str:
        """The words that two titles share, the rarer ones first, at most three."""
        words = [set(re.findall(r"[^\W\d_]{3,}", self.titles[one].lower())) for one in (item, other)]
        both = sorted(words[0] & words[1], key=lambda word: (sum(word in title.lower() for title in self.titles), word))
        return " and ".join(f"'{word}'" for word in both[:3])

    def _name(self, item: int) -> str:
        title = self.titles[item] if len(self.titles) else ""
        return f"'{title or self.model.items_[item]}'"


def _ids(values: list) -> list[str]:
    return coerce_ids(pd.Series(values)).tolist()


def _times(count: int, what: str = "time") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _days(days: float) -> str:
    return f"{days:g} day{'' if days == 1 else 's'}"


def _date(time: pd.Timestamp) -> str:
    return f"{time.day} {time.month_name()} {time.year}"
