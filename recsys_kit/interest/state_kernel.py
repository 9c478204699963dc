"""The loops of `interest.state`: what one event does to every layer, and what a user's layers say of every item.

A person is a row of numbers (`CLOCK` and on), a row of memberships, two vectors, and a profile over all categories. The vectors
fade when an event touches them. A profile is too wide for that: its scale grows instead, as that of the shop-wide counts does.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from recsys_kit.interest.drift import step

OVERALL, STRATUM, DOMAIN, LONG, SHORT = range(5)  # the layers, in the order of ``rate`` and of the weights
# A person: time of the latest event; present factor on the half-lives; log2 of what the profile is scaled by; masses (summed faded
# beta) of the two vectors; of the profile, in its scale; the drift detector's three numbers; alarms so far, the time of the last.
CLOCK, PACE, EXPONENT, MASS_LONG, MASS_SHORT, MASS_DOMAIN, SEEN, _, __, ALARMS, ALARMED = range(11)
FIELDS = 11
FAR = 500.0  # half-lives a scale may move before it is brought back: 2^1024 would overflow
STEP = 32  # scores looked over at once, for one that is good enough
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
def learn(user, item, beta, seconds, known, latest, rate, counts, totals, zero, member, people, vectors, profiles, items, lengths,
          leaf, parent, watch):  # pragma: no cover - compiled
    """Events, one after the other, into all layers; nothing, where `faulty` finds one. Returns what that returns.

    known : number of users. latest : no event may be later. rate : half-lives per second, by layer. zero : the moment at which an
    event counts beta, for the two shop-wide layers. watch : layer watched (0: none), delta, threshold, warmup, factor, recovery.
    """
    wrong, clock = faulty(user, item, beta, seconds, known, counts.shape[1], latest)
    if wrong >= 0 or clock == -np.inf:
        return wrong, clock
    for layer in range(2):
        ahead = np.floor((clock - zero[layer]) * rate[layer])
        if zero[layer] == -np.inf:
            zero[layer] = clock
        elif ahead > FAR:
            zero[layer] += ahead / rate[layer]
            for row in range(layer, 1 if layer == OVERALL else len(counts)):
                totals[row] *= np.exp2(-ahead)  # a whole power of two: nothing is rounded
                for i in range(counts.shape[1]):
                    counts[row, i] *= np.exp2(-ahead)
    strata, d, categories = member.shape[1], items.shape[1], len(parent)
    watched = np.int64(watch[0])
    last, overall, stratum = np.nan, 0.0, 0.0
    for e in range(len(user)):
        b = beta[e]
        if b == 0.0:
            continue
        u, i, t = user[e], item[e], seconds[e]
        if t != last:
            last = t
            overall = np.exp2((t - zero[0]) * rate[OVERALL])
            stratum = np.exp2((t - zero[1]) * rate[STRATUM])
        counts[0, i] += b * overall
        totals[0] += b * overall
        for s in range(strata):
            share = b * stratum * member[u, s]
            if share != 0.0:
                counts[1 + s, i] += share
                totals[1 + s] += share

        person = people[u]
        age = (t - person[CLOCK]) / person[PACE]  # in days of this user, which are short after an alarm
        keep_long = keep_short = 1.0
        b_long = b_short = b_domain = b
        late = age < 0.0
        if person[CLOCK] == -np.inf:
            person[CLOCK] = t
        elif age > 0.0:
            person[CLOCK] = t
            person[EXPONENT] += age * rate[DOMAIN]
            keep_long, keep_short = np.exp2(-age * rate[LONG]), np.exp2(-age * rate[SHORT])
            if person[EXPONENT] > FAR:
                shrink = np.exp2(-np.floor(person[EXPONENT]))
                person[EXPONENT] -= np.floor(person[EXPONENT])
                person[MASS_DOMAIN] *= shrink
                for category in range(categories):
                    profiles[u, category] *= shrink
        elif late:
            b_long, b_short = b * np.exp2(age * rate[LONG]), b * np.exp2(age * rate[SHORT])
            b_domain = b * np.exp2(age * rate[DOMAIN])

        surprise, surprised = 0.0, False
        if categories > 0 and leaf[i] >= 0:
            if person[EXPONENT] != 0.0:
                b_domain *= np.exp2(person[EXPONENT])
            category = leaf[i]
            if watched == DOMAIN and person[MASS_DOMAIN] > 0.0:
                surprise, surprised = 1.0 - profiles[u, category] / person[MASS_DOMAIN], True
            while category >= 0:
                profiles[u, category] += b_domain
                category = parent[category]
            person[MASS_DOMAIN] += b_domain
        if d > 0 and lengths[i] > 0.0:
            z, long, short = items[i], vectors[u, 0], vectors[u, 1]
            if watched == LONG or watched == SHORT:
                own = vectors[u, watched - LONG]
                dot = square = 0.0
                for j in range(d):
                    dot += own[j] * z[j]
                    square += own[j] * own[j]
                if square > 0.0:
                    surprise, surprised = 1.0 - dot / (np.sqrt(square) * lengths[i]), True
            for j in range(d):
                long[j] = long[j] * keep_long + b_long * z[j]
                short[j] = short[j] * keep_short + b_short * z[j]
            person[MASS_LONG] = person[MASS_LONG] * keep_long + b_long
            person[MASS_SHORT] = person[MASS_SHORT] * keep_short + b_short
        elif d > 0 and age > 0.0:
            for j in range(d):
                vectors[u, 0, j] *= keep_long
                vectors[u, 1, j] *= keep_short
            person[MASS_LONG] *= keep_long
            person[MASS_SHORT] *= keep_short
        if surprised and not late:
            person[PACE] += (1.0 - person[PACE]) / watch[5]
            if step(person[SEEN:SEEN + 3], surprise, watch[1], watch[2], watch[3]):
                person[PACE] = watch[4]
                person[ALARMS] += 1.0
                person[ALARMED] = t
    return wrong, clock


@njit(cache=True, error_model="numpy")
def interest(u, at, rate, kappa, people, vectors, profiles, parent, levels, wanted, taste):  # pragma: no cover - compiled
    """What a user's own layers hold at a moment: into ``wanted`` (2, d) the long and the short mean vector, each leaning on what
    stands behind it, into ``taste`` (categories,) the share of each category and of all above it, over the depth of the tree.
    """
    person = people[u]
    age = max(at - person[CLOCK], 0.0) / person[PACE] if person[CLOCK] > -np.inf else 0.0
    keep_long, keep_short = np.exp2(-age * rate[LONG]), np.exp2(-age * rate[SHORT])
    behind, recent = person[MASS_LONG] * keep_long + kappa, person[MASS_SHORT] * keep_short + kappa
    for j in range(wanted.shape[1]):
        wanted[0, j] = vectors[u, 0, j] * keep_long / behind if behind > 0.0 else 0.0
        wanted[1, j] = (vectors[u, 1, j] * keep_short + kappa * wanted[0, j]) / recent if recent > 0.0 else 0.0
    scale = np.exp2(-person[EXPONENT] - age * rate[DOMAIN])
    mass = person[MASS_DOMAIN] * scale + kappa
    for category in range(len(parent)):  # a parent stands before its children
        taste[category] = 0.0
        if mass > 0.0:
            taste[category] = profiles[u, category] * scale / mass / levels
            if parent[category] >= 0:
                taste[category] += taste[parent[category]]


@njit(cache=True, fastmath=FAST, error_model="numpy")
def _add(total, factor, lines):  # pragma: no cover - compiled
    """``total[i] += sum_r factor[r] lines[r, i]``, four rows at a time: so often less are the sums fetched and put back."""
    rows, used = np.empty(len(factor), np.int64), 0
    for r in range(len(factor)):
        if factor[r] != 0:
            rows[used] = r
            used += 1
    n = len(total)
    for r in range(0, used - 3, 4):
        a, b, c, d = factor[rows[r]], factor[rows[r + 1]], factor[rows[r + 2]], factor[rows[r + 3]]
        x, y, z, w = lines[rows[r]], lines[rows[r + 1]], lines[rows[r + 2]], lines[rows[r + 3]]
        for i in range(n):
            total[i] += (a * x[i] + b * y[i]) + (c * z[i] + d * w[i])
    for r in range(used - used % 4, used):
        a, x = factor[rows[r]], lines[rows[r]]
        for i in range(n):
            total[i] += a * x[i]


@njit(cache=True, error_model="numpy")
def score(u, at, rate, kappa, weights, counts, totals, member, people, vectors, profiles, across, leaf, parent, levels,
          out):  # pragma: no cover - compiled
    """The weighted sum of all layers for every item, into ``out`` (m,) float32. across : item vectors, (d, m) float32."""
    d, m = across.shape
    strata = member.shape[1]
    factor, wish, taste = np.zeros(1 + strata), np.zeros(d, np.float32), np.zeros(len(parent))
    if totals[0] > 0.0:
        factor[0] = weights[OVERALL] / totals[0]
    if u >= 0:
        wanted = np.empty((2, d))
        interest(u, at, rate, kappa, people, vectors, profiles, parent, levels, wanted, taste)
        for j in range(d):
            wish[j] = weights[LONG] * wanted[0, j] + weights[SHORT] * wanted[1, j]
        total = 0.0
        for s in range(strata):
            total += member[u, s] * totals[1 + s]
        for s in range(strata):
            if total > 0.0:
                factor[1 + s] = weights[STRATUM] * member[u, s] / total
    shop = np.zeros(m)
    _add(shop, factor, counts)
    for i in range(m):
        out[i] = shop[i]
    _add(out, wish, across)
    if u >= 0 and len(parent) > 0 and weights[DOMAIN] != 0.0:
        for i in range(m):
            if leaf[i] >= 0:
                out[i] += np.float32(weights[DOMAIN] * taste[leaf[i]])


@njit(cache=True, fastmath={"nnan", "nsz"})
def best(scores, hidden, k):  # pragma: no cover - compiled
    """Columns and values of the k best, best first, of equals the lower column; -1 and -inf where there are fewer. What is hidden
    is overwritten: these scores are nobody else's, which spares the mask that `models.best.choose` needs.
    """
    columns, values = np.full(k, -1), np.full(k, -np.inf, np.float32)
    for i in hidden:
        scores[i] = -np.inf
    for start in range(0, len(scores), STEP):
        block = scores[start:start + STEP]
        highest = block[0]
        for i in range(1, len(block)):
            highest = max(highest, block[i])
        if highest > values[k - 1]:
            for i in range(len(block)):
                if block[i] > values[k - 1]:
                    place = k - 1
                    while place > 0 and block[i] > values[place - 1]:
                        columns[place], values[place] = columns[place - 1], values[place - 1]
                        place -= 1
                    columns[place], values[place] = start + i, block[i]
    return columns, values


@njit(cache=True)
def top(u, at, rate, kappa, weights, counts, totals, member, people, vectors, profiles, across, leaf, parent, levels, scores,
        hidden, k):  # pragma: no cover - compiled
    """`score` into ``scores``, and the `best` of it. No columns at all: ``hidden`` names one that is not there."""
    for i in hidden:
        if not 0 <= i < len(scores):
            return np.empty(0, np.int64), np.empty(0, np.float32)
    score(u, at, rate, kappa, weights, counts, totals, member, people, vectors, profiles, across, leaf, parent, levels, scores)
    return best(scores, hidden, k)
