"""The loops of `interest.state`: what one event does to every layer, and what a user's layers say of every item.

Few arrays hold all of it, because each one that is handed over costs a call some time, and each one that is not at hand a wait:

* people (users, `FIELDS` + S + 2 d + C): a person's numbers (`CLOCK` and on), memberships, long and short vector, and a profile
  over all categories. The vectors fade when an event touches them. A profile is too wide for that: its scale grows instead.
* shop (1 + S, m + 2): for all and by stratum, the count of each item, the sum of them (`TOTAL`), and the moment at which an event
  counts beta (`ZERO`): scaled like a profile.
* tree (C + m,): what stands above each category (-1: nothing), then the category of each item (-1: none).
* items (m, d + 1) float32: vectors, then their lengths. across (d, m) float32: the same vectors, a line for each number; coarse: in
  bytes (`rounded`).
* settings (17,): half-lives per second by layer, `KAPPA`, `LEVELS` of the tree, and of drift (`WATCH` and on) the layer watched (0:
  none), delta, threshold, warmup, factor and recovery; then what `rounded` says.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsys_kit.interest.drift import step

OVERALL, STRATUM, DOMAIN, LONG, SHORT = range(5)  # the layers, in the order of ``settings`` and of the weights
# A person: time of the latest event; present factor on the half-lives; log2 of what the profile is scaled by; masses (summed faded
# beta) of the two vectors; of the profile, in its scale; the drift detector's three numbers; alarms so far, the time of the last.
CLOCK, PACE, EXPONENT, MASS_LONG, MASS_SHORT, MASS_DOMAIN, SEEN, _, __, ALARMS, ALARMED = range(11)
FIELDS = 11
TOTAL, ZERO = -2, -1
KAPPA, LEVELS, WATCH, SCALE, ROOM, LOST, LONGEST = 5, 6, 7, 13, 14, 15, 16
SLACK = 1e-6  # a sum in float32 is off by no more, in units of the largest it can be
FAR = 500.0  # half-lives a scale may move before it is brought back: 2^1024 would overflow
GROUPS = 128  # at least so many groups of items are looked at when the best are sought
FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; infinity and NaN stay what they are


@njit(cache=True)
def faulty(user, item, beta, seconds, n, m, latest):  # pragma: no cover - compiled
    """Place of the first event that cannot be learned (-1: none), and the latest time of those that weigh something."""
    clock = -np.inf
    for e in range(len(user)):
        if not (0 <= user[e] < n and 0 <= item[e] < m and 0.0 <= beta[e] < np.inf and -np.inf < seconds[e] <= latest):
            return e, clock
        if beta[e] > 0.0:
            clock = max(clock, seconds[e])
    return -1, clock


@njit(cache=True, fastmath=FAST, error_model="numpy")
def learn(user, item, beta, seconds, known, latest, settings, shop, people, items, tree):  # pragma: no cover - compiled
    """Events, one after the other, into all layers; nothing, where `faulty` finds one. Returns what that returns.

    known : number of users. latest : no event may be later.
    """
    strata, m, d = len(shop) - 1, len(items), items.shape[1] - 1
    categories, vectors = len(tree) - m, FIELDS + strata
    profiles = vectors + 2 * d
    wrong, clock = faulty(user, item, beta, seconds, known, m, latest)
    if wrong >= 0 or clock == -np.inf:
        return wrong, clock
    for row in range(1 + strata):
        line, speed = shop[row], settings[min(row, STRATUM)]
        ahead = np.floor((clock - line[ZERO]) * speed)
        if line[ZERO] == -np.inf:
            line[ZERO] = clock
        elif ahead > FAR:
            line[ZERO] += ahead / speed
            for i in range(m + 1):  # TOTAL is the last of them
                line[i] *= np.exp2(-ahead)  # a whole power of two: nothing is rounded
    watched = np.int64(settings[WATCH])
    delta, threshold, warmup = settings[WATCH + 1], settings[WATCH + 2], settings[WATCH + 3]
    factor, recovery = settings[WATCH + 4], settings[WATCH + 5]
    last, overall, stratum = np.nan, 0.0, 0.0
    for e in range(len(user)):
        b = beta[e]
        if b == 0.0:
            continue
        u, i, t = user[e], item[e], seconds[e]
        if t != last:
            last = t
            overall = np.exp2((t - shop[0, ZERO]) * settings[OVERALL])
            stratum = np.exp2((t - shop[strata, ZERO]) * settings[STRATUM])
        person = people[u]
        shop[0, i] += b * overall
        shop[0, TOTAL] += b * overall
        for s in range(strata):
            share = b * stratum * person[FIELDS + s]
            if share != 0.0:
                shop[1 + s, i] += share
                shop[1 + s, TOTAL] += share

        age = (t - person[CLOCK]) / person[PACE]  # in days of this user, which are short after an alarm
        keep_long = keep_short = 1.0
        b_long = b_short = b_domain = b
        late = age < 0.0
        if person[CLOCK] == -np.inf:
            person[CLOCK] = t
        elif age > 0.0:
            person[CLOCK] = t
            person[EXPONENT] += age * settings[DOMAIN]
            keep_long, keep_short = np.exp2(-age * settings[LONG]), np.exp2(-age * settings[SHORT])
            if person[EXPONENT] > FAR:
                shrink = np.exp2(-np.floor(person[EXPONENT]))
                person[EXPONENT] -= np.floor(person[EXPONENT])
                person[MASS_DOMAIN] *= shrink
                for place in range(profiles, len(person)):
                    person[place] *= shrink
        elif late:
            b_long, b_short = b * np.exp2(age * settings[LONG]), b * np.exp2(age * settings[SHORT])
            b_domain = b * np.exp2(age * settings[DOMAIN])

        surprise, surprised = 0.0, False
        category = tree[categories + i]
        if category >= 0:
            if person[EXPONENT] != 0.0:
                b_domain *= np.exp2(person[EXPONENT])
            if watched == DOMAIN and person[MASS_DOMAIN] > 0.0:
                surprise, surprised = 1.0 - person[profiles + category] / person[MASS_DOMAIN], True
            while category >= 0:
                person[profiles + category] += b_domain
                category = tree[category]
            person[MASS_DOMAIN] += b_domain
        if d > 0 and (items[i, d] > 0.0 or age > 0.0):
            z, long, short = items[i], person[vectors:vectors + d], person[vectors + d:profiles]
            if items[i, d] == 0.0:
                b_long = b_short = 0.0  # it has no vector: the user's only fade
            elif watched == LONG or watched == SHORT:
                own = long if watched == LONG else short
                dot = square = 0.0
                for j in range(d):
                    dot += own[j] * z[j]
                    square += own[j] * own[j]
                if square > 0.0:
                    surprise, surprised = 1.0 - dot / (np.sqrt(square) * z[d]), True
            for j in range(d):
                long[j] = long[j] * keep_long + b_long * z[j]
                short[j] = short[j] * keep_short + b_short * z[j]
            person[MASS_LONG] = person[MASS_LONG] * keep_long + b_long
            person[MASS_SHORT] = person[MASS_SHORT] * keep_short + b_short
        if surprised and not late:
            person[PACE] += (1.0 - person[PACE]) / recovery
            if step(person[SEEN:SEEN + 3], surprise, delta, threshold, warmup):
                person[PACE] = factor
                person[ALARMS] += 1.0
                person[ALARMED] = t
    return wrong, clock


@njit(cache=True, error_model="numpy")
def interest(u, at, settings, people, strata, tree, wanted, taste):  # pragma: no cover - compiled
    """What a user's own layers hold at a moment: into ``wanted`` (2, d) the long and the short mean vector, each leaning on what
    stands behind it, into ``taste`` (C,) the share of each category and of all above it, over the depth of the tree.
    """
    person, d, vectors, kappa = people[u], wanted.shape[1], FIELDS + strata, settings[KAPPA]
    age = max(at - person[CLOCK], 0.0) / person[PACE] if person[CLOCK] > -np.inf else 0.0
    keep_long, keep_short = np.exp2(-age * settings[LONG]), np.exp2(-age * settings[SHORT])
    behind, recent = person[MASS_LONG] * keep_long + kappa, person[MASS_SHORT] * keep_short + kappa
    for j in range(d):
        long, short = person[vectors + j], person[vectors + d + j]
        wanted[0, j] = long * keep_long / behind if behind > 0.0 else 0.0
        wanted[1, j] = (short * keep_short + kappa * wanted[0, j]) / recent if recent > 0.0 else 0.0
    scale = np.exp2(-person[EXPONENT] - age * settings[DOMAIN])
    mass = person[MASS_DOMAIN] * scale + kappa
    for category in range(len(taste)):  # a parent stands before its children
        taste[category] = 0.0
        if mass > 0.0:
            taste[category] = person[vectors + 2 * d + category] * scale / mass / settings[LEVELS]
            if tree[category] >= 0:
                taste[category] += taste[tree[category]]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _add(total, factor, lines):  # pragma: no cover - compiled
    """``total[i] += sum_r factor[r] lines[r, i]``, four rows at a time: so often less are the sums fetched and put back."""
    rows, used = np.zeros(len(factor) + 3, np.int64), 0
    weigh = np.zeros(len(factor) + 3, factor.dtype)  # the last four may be filled up with a row that weighs nothing
    for r in range(len(factor)):
        if factor[r] != 0:
            rows[used], weigh[used] = r, factor[r]
            used += 1
    for r in range(0, used, 4):
        a, b, c, d = weigh[r], weigh[r + 1], weigh[r + 2], weigh[r + 3]
        x, y, z, w = lines[rows[r]], lines[rows[r + 1]], lines[rows[r + 2]], lines[rows[r + 3]]
        for i in range(len(total)):
            total[i] += (a * x[i] + b * y[i]) + (c * z[i] + d * w[i])


@njit(cache=True, error_model="numpy")
def _ask(u, at, weights, settings, shop, people, tree, factor, wish, taste):  # pragma: no cover - compiled
    """What every score is made of: into ``factor`` (1 + S,) what a count of each line of the shop adds, into ``wish`` (d,) the
    vector that items are held against, into ``taste`` (C,) what each category adds.
    """
    strata = len(shop) - 1
    factor[:], wish[:], taste[:] = 0.0, 0.0, 0.0
    if shop[0, TOTAL] > 0.0:
        factor[0] = weights[OVERALL] / shop[0, TOTAL]
    if u >= 0:
        wanted, member = np.empty((2, len(wish))), people[u, FIELDS:FIELDS + strata]
        interest(u, at, settings, people, strata, tree, wanted, taste)
        for j in range(len(wish)):
            wish[j] = weights[LONG] * wanted[0, j] + weights[SHORT] * wanted[1, j]
        for category in range(len(taste)):
            taste[category] *= weights[DOMAIN]
        total = 0.0
        for s in range(strata):
            total += member[s] * shop[1 + s, TOTAL]
        for s in range(strata):
            if total > 0.0:
                factor[1 + s] = weights[STRATUM] * member[s] / total


@njit(cache=True, error_model="numpy")
def _without_vectors(factor, taste, shop, tree, out):  # pragma: no cover - compiled
    """What shop and categories add to every score, into ``out`` (m,) float32."""
    out[:] = 0
    _add(out, factor, shop)
    if taste.any():
        for i in range(len(out)):
            category = tree[len(taste) + i]
            if category >= 0:
                out[i] += np.float32(taste[category])


@njit(cache=True, error_model="numpy")
def score(u, at, weights, settings, shop, people, tree, across, out):  # pragma: no cover - compiled
    """The weighted sum of all layers for every item, into ``out`` (m,) float32."""
    d, m = across.shape
    factor, wish, taste = np.empty(len(shop)), np.empty(d), np.empty(len(tree) - m)
    _ask(u, at, weights, settings, shop, people, tree, factor, wish, taste)
    _without_vectors(factor, taste, shop, tree, out)
    _add(out, wish.astype(np.float32), across)


@njit(cache=True)
def _dots(total, wish, coarse):  # pragma: no cover - compiled
    """``total[i] = sum_j wish[j] coarse[j, i]`` in int16, eight rows at a time; there are a multiple of eight."""
    total[:] = 0
    for r in range(0, len(wish), 8):
        a, b, c, d = wish[r], wish[r + 1], wish[r + 2], wish[r + 3]
        e, f, g, h = wish[r + 4], wish[r + 5], wish[r + 6], wish[r + 7]
        s, t, u, v = coarse[r], coarse[r + 1], coarse[r + 2], coarse[r + 3]
        w, x, y, z = coarse[r + 4], coarse[r + 5], coarse[r + 6], coarse[r + 7]
        for i in range(len(total)):
            total[i] = np.int16(total[i] + a * s[i] + b * t[i] + c * u[i] + d * v[i] + e * w[i] + f * x[i] + g * y[i] + h * z[i])


@njit(cache=True)
def _place(columns, values, column, value):  # pragma: no cover - compiled
    """Put an item where it belongs among the best so far, if it does; of equals the lower column is the better."""
    place = len(values)
    while place > 0 and (value > values[place - 1] or (value == values[place - 1] and column < columns[place - 1])):
        place -= 1
        if place + 1 < len(values):
            columns[place + 1], values[place + 1] = columns[place], values[place]
    if place < len(values):
        columns[place], values[place] = column, value


@njit(cache=True, fastmath={"nnan", "nsz"})
def _scored_roughly(rough, dots, unit, highest):  # pragma: no cover - compiled
    """``rough[i] += unit dots[i]``; into ``highest`` the best of each group: items with one remainder of their columns."""
    for start in range(0, len(rough), len(highest)):
        part, sums = rough[start:start + len(highest)], dots[start:start + len(highest)]
        for g in range(len(part)):
            part[g] += unit * np.float32(sums[g])
            highest[g] = max(highest[g], part[g])


@njit(cache=True)
def _not_above(values, k):  # pragma: no cover - compiled
    """A number that is not above the k-th largest, and hardly below."""
    low, high, there = np.float32(np.inf), np.float32(-np.inf), 0
    for value in values:
        if value > -np.inf:
            low, high, there = min(low, value), max(high, value), there + 1
    if there < k:
        return np.float32(-np.inf)
    for _ in range(16):
        middle, above = low + (high - low) / np.float32(2), 0
        for value in values:
            above += value >= middle
        if above >= k:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True, fastmath=FAST)
def _exactly(i, factor, wish, taste, shop, items, tree):  # pragma: no cover - compiled
    """The score of one item."""
    total, category = 0.0, tree[len(taste) + i]
    for r in range(len(factor)):
        if factor[r] != 0.0:
            total += factor[r] * shop[r, i]
    for j in range(len(wish)):
        total += wish[j] * items[i, j]
    return total + taste[category] if category >= 0 else total


@njit(cache=True, error_model="numpy")
def top(u, at, weights, settings, shop, people, tree, items, coarse, hidden, columns, values):  # pragma: no cover - compiled
    """The best items into ``columns`` and their scores into ``values``, best first, of equals the lower column; -1 and -inf where
    there are fewer. False, and nothing done, if ``hidden`` names an item that is not there.

    Vectors rounded to a byte are read four times as fast, and how far a score can be off is known. The k-th best of the groups'
    best is no better than the k-th best of all. What is not further below it than that is a few dozen items: they are scored
    exactly.
    """
    m, d, k = len(items), items.shape[1] - 1, len(values)
    for i in hidden:
        if not 0 <= i < m:
            return False
    factor, wish, taste = np.empty(len(shop)), np.empty(d), np.empty(len(tree) - m)
    _ask(u, at, weights, settings, shop, people, tree, factor, wish, taste)
    rough, dots, whole = np.empty(m, np.float32), np.empty(m, np.int16), np.zeros(len(coarse), np.int16)
    _without_vectors(factor, taste, shop, tree, rough)
    for i in hidden:
        rough[i] = -np.inf
    length = np.sqrt(np.sum(wish * wish))
    unit, lost = length / settings[ROOM] if length > 0.0 else 1.0, 0.0
    for j in range(d):
        whole[j] = np.int16(np.rint(wish[j] / unit))
        lost += (wish[j] - unit * whole[j]) ** 2
    _dots(dots, whole, coarse)
    groups = GROUPS
    while groups < 4 * k:
        groups *= 2
    highest = np.full(groups, -np.inf, np.float32)
    _scored_roughly(rough, dots, np.float32(unit * settings[SCALE]), highest)
    off = length * settings[LOST] + np.sqrt(lost) * settings[LONGEST] + SLACK * np.abs(weights[:LONG]).sum()
    least = np.float32(_not_above(highest, k) - 2 * off)
    columns[:], values[:] = -1, -np.inf
    for g in range(groups):
        if highest[g] >= least and highest[g] > -np.inf:
            for i in range(g, m, groups):
                if rough[i] >= least and rough[i] > -np.inf:
                    _place(columns, values, i, _exactly(i, factor, wish, taste, shop, items, tree))
    return True


@njit(cache=True)
def visit(u, at, weights, settings, shop, people, tree, items, coarse, hidden, columns, values, item, beta,
          latest):  # pragma: no cover - compiled
    """`top`, then `learn` of what the user touched at that moment: one call for both. Returns what the two return."""
    listed = top(u, at, weights, settings, shop, people, tree, items, coarse, hidden, columns, values)
    wrong, clock, n = -1, -np.inf, len(item)
    if listed:
        wrong, clock = learn(np.full(n, u), item, beta if len(beta) else np.ones(n), np.full(n, at), u + 1, latest, settings, shop,
                             people, items, tree)
    return listed, wrong, clock


def rounded(vectors: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Vectors (m, d) in units of a scale that makes them bytes, a line per number, and lines of zeros up to a multiple of 8.

    And what belongs to `SCALE` and on: the scale; how long a wish may be for no sum to leave 16 bits; by how much rounding, that in
    float32 included, moved an item at most; the length of the longest.
    """
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    longest = lengths.max(initial=0.0)
    scale = max(np.abs(vectors).max(initial=0.0) / 127, longest / 181) or 1.0
    whole = np.rint(vectors / scale)
    coarse = np.zeros((-(-vectors.shape[1] // 8) * 8, len(vectors)), np.int8)
    coarse[:vectors.shape[1]] = whole.T
    room = 32_767 / np.linalg.norm(whole, axis=1).max(initial=1.0) - np.sqrt(vectors.shape[1])
    lost = np.linalg.norm(vectors - scale * whole, axis=1).max(initial=0.0) + SLACK * longest
    return coarse, [scale, room, lost, longest + lost]
