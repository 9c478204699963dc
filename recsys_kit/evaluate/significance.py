"""How sure is a mean, or a difference of two? The bootstrap over users (Efron, 1979)."""

from __future__ import annotations

import numpy as np


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
    block = max(1, 4_000_000 // values.size)  # bounded memory: so many draws at a time
    means = np.concatenate([values[rng.integers(0, values.size, (min(block, draws - start), values.size))].mean(axis=1)
                            for start in range(0, draws, block)])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
