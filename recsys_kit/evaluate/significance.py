"""How sure is a mean, or a difference of two, or the best of ten? Resampling over users (Efron, 1979), and Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from recsys_kit.evaluate.protocol import evaluate_ranking
from recsys_kit.evaluate.split import Split

BLOCK = 4_000_000  # numbers drawn at once


def bootstrap_interval(values, *, level: float = 0.95, draws: int = 2000, rng=None) -> tuple[float, float]:
    """Percentile interval for the mean of one number per user; for two models pass their per-user **differences** (paired).

    values : (n,) finite numbers. level : coverage. draws : bootstrap samples of n users with replacement.
    Raises ValueError for fewer than two users or a missing value.

    >>> low, high = bootstrap_interval([0.1, 0.2, 0.3, 0.4], rng=0)
    >>> 0.1 < low < 0.25 < high < 0.4
    True
    """
    values = np.asarray(values, dtype=float)
    if values.size < 2 or not np.isfinite(values).all():
        raise ValueError("bootstrap_interval wants at least two users and no missing value")
    rng = np.random.default_rng(rng)
    block = max(1, BLOCK // values.size)  # bounded memory: so many draws at a time
    means = np.concatenate([values[rng.integers(0, values.size, (min(block, draws - start), values.size))].mean(axis=1)
                            for start in range(0, draws, block)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def sign_flip_p(differences, *, draws: int = 9999, rng=None) -> np.ndarray:
    """Two-sided p of 'the two models are exchangeable', by flipping the sign of each user's difference at random.

    If it does not matter which of two models a user met, d and -d are equally likely for every user (Fisher's randomisation test,
    1935; for rankings: Smucker, Allan and Carterette, 2007). p = (1 + #{|mean of flipped| >= |mean|}) / (draws + 1), so never 0.

    differences : (n,) or (n, tests), finite; all tests share the flips. Returns (tests,), or one number in an array for (n,).
    Raises ValueError for fewer than two users or a missing value.

    >>> sign_flip_p([0.1, 0.2, 0.3, 0.1, 0.2, 0.4, 0.1, 0.3], rng=0) < 0.02
    array([ True])
    """
    d = np.asarray(differences, dtype=float)
    d = d[:, None] if d.ndim == 1 else d
    if len(d) < 2 or not np.isfinite(d).all():
        raise ValueError("sign_flip_p wants at least two users and no missing value")
    rng = np.random.default_rng(rng)
    bar = np.abs(d.sum(axis=0)) * (1 - 1e-12)  # equal sums that were added in another order are equal
    beyond, block = np.zeros(d.shape[1]), max(1, BLOCK // len(d))
    for start in range(0, draws, block):
        signs = rng.integers(0, 2, (min(block, draws - start), len(d)), dtype=np.int8).astype(float) * 2 - 1
        beyond += (np.abs(signs @ d) >= bar).sum(axis=0)
    return (1 + beyond) / (draws + 1)


def holm(p) -> np.ndarray:
    """p values corrected for how many there are (Holm, 1979): the chance of one false alarm or more stays below the level.

    The i-th smallest of m is multiplied by m - i + 1; none becomes smaller than one before it, or larger than 1. (n,) -> (n,).

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p, dtype=float)
    if p.size and not ((p >= 0) & (p <= 1)).all():
        raise ValueError("holm: a p lies between 0 and 1, and none may be missing")
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected


def compare(models: Mapping[str, object], split: Split, *, baseline: str, k: int = 20, relevant: Sequence[str] | None = None,
            owned: Sequence[str] | None = None, metrics: Sequence[str] | None = None, level: float = 0.95, rng=0) -> pd.DataFrame:
    """Many fitted rankers on the same users, in one table: `evaluate_ranking` of each, then `compare_users`.

    models : name -> fitted ranker; ``baseline`` is one of the names. Everything else as in those two.
    """
    _known(models, baseline)
    results = {name: evaluate_ranking(model, split, k=k, relevant=relevant, owned=owned) for name, model in models.items()}
    return compare_users(results, baseline=baseline, metrics=metrics, level=level, rng=rng)


def compare_users(results: Mapping[str, pd.DataFrame], *, baseline: str, metrics: Sequence[str] | None = None,
                  level: float = 0.95, draws: int = 2000, rng=0) -> pd.DataFrame:
    """Per-user results of many models in one table: how good each is, by how much it differs from the baseline, how sure that is.

    results : name -> table with a row per user and a column per metric, all over the same users, higher is better.
    metrics : columns to compare (None: all). The **family** that is corrected for is everything in the table, so name only the
        metrics you would report: every one more makes all of them weaker.
    Returns a row per (metric, model): ``mean``; ``difference`` to the baseline, its paired bootstrap interval ``low, high``; ``p``
    of `sign_flip_p`, and ``p_holm``. The baseline's own rows have only a mean. The interval is for one difference at a time,
    ``p_holm`` for the table.
    Raises ValueError for an unknown baseline, users that differ (a model that drops users is not comparable), a missing value.
    """
    _known(results, baseline)
    base = results[baseline]
    names = list(base.columns if metrics is None else metrics)
    rows, differences = [], []
    for model, result in results.items():
        missing = [name for name in names if name not in result]
        if missing:
            raise ValueError(f"compare: {model!r} has no metric {missing[0]!r}; it has {', '.join(map(str, result.columns))}")
        if len(result) != len(base) or not result.index.isin(base.index).all() or result.index.has_duplicates:
            raise ValueError(f"compare: {model!r} was measured on other users than {baseline!r} ({len(result):,}, {len(base):,}).\n"
                             f"To mend it: measure all models on one split; users without a list count as zero")
        values = result.loc[base.index, names].to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise ValueError(f"compare: {model!r} has a missing or infinite value; a user without a list counts as zero")
        rows += [{"metric": name, "model": model, "mean": mean} for name, mean in zip(names, values.mean(axis=0), strict=True)]
        if model != baseline:
            differences.append(values - base[names].to_numpy(dtype=float))
    table = pd.DataFrame(rows).set_index(["metric", "model"])
    table[["difference", "low", "high", "p", "p_holm"]] = np.nan
    if differences:
        d = np.concatenate(differences, axis=1)
        others = table.index.get_level_values("model") != baseline
        rng = np.random.default_rng(rng)
        low, high = _intervals(d, level, draws, rng)
        p = sign_flip_p(d, rng=rng)
        table.loc[others, ["difference", "low", "high", "p", "p_holm"]] = np.column_stack([d.mean(axis=0), low, high, p, holm(p)])
    return table.loc[[(name, model) for name in names for model in results]]


def _known(models: Mapping[str, object], baseline: str) -> None:
    if baseline not in models:
        raise ValueError(f"compare: the baseline {baseline!r} is none of the models: {', '.join(map(repr, models))}")


def _intervals(d: np.ndarray, level: float, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`bootstrap_interval` of every column at once; all columns share the drawn users."""
    if len(d) < 2:
        raise ValueError("compare wants at least two users")
    n, block, means = len(d), max(1, BLOCK // len(d)), []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = rng.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        means.append(np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n) @ d / n)
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
