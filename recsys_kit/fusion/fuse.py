"""Blocks of numbers about the same users, made comparable and turned into a few components (multiple factor analysis)."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
from scipy.linalg import eigh

from recsys_kit.fusion.signs import fixed_signs
from recsys_kit.schema import USER, SchemaError
from recsys_kit.strata.table import as_table, whole

CONSTANT = 1e-9  # a block that varies by less than this share of its largest value does not vary: what is left is rounding
NO_RANK = 1e-10  # a component with less than this share of the first one's variance is rounding


class Fusion:
    """Fuse blocks into few components (融合): each block scaled to the same weight, then principal components of all columns.

    Multiple factor analysis (Escofier and Pages, 1994). Each block ``X_b`` (n x p_b) is centred and divided by
    ``s_b = sigma_1(X_b) / sqrt(n)``, the standard deviation along its own first component, so that no block speaks louder for
    having more columns or larger numbers; then times ``weights[b]``. The principal components of ``Z = [w_b X_b / s_b]`` are
    ``F = Z V`` with ``Z = U S V^T``.

    Parameters
    ----------
    components : how many to keep; fewer where the blocks hold no more (the rank of ``Z``); ``components_`` says how many.
    weights : weight per block name, zero or more; blocks not named weigh 1. Raises ValueError for anything else.

    Attributes
    ----------
    components_ : number of components kept.
    explained : Series, component -> share of the variance of ``Z``; the shares of all components of the blocks sum to 1.
    loadings : DataFrame, (block, column) x components: ``V``, of length 1 per component; they are about the scaled columns.
    contributions : DataFrame, blocks x components: share of a component's variance that comes from each block,
        ``sum of V_jc^2 over the block's columns j``; they sum to 1 per component.
    A component's largest loading is positive. A block that does not vary contributes nothing.

    >>> blocks = {"a": pd.DataFrame({"x": [0.0, 2.0]}, index=["u", "v"]), "b": pd.DataFrame({"y": [0.0, 50.0]}, index=["u", "v"])}
    >>> fusion = Fusion().fit(blocks)
    >>> fusion.components_, fusion.contributions["f01"].round(2).tolist()
    (1, [0.5, 0.5])
    """

    def __init__(self, components: int = 10, weights: Mapping[str, float] | None = None):
        self.components = whole(components, 1, "Fusion: components")
        if not isinstance(weights, Mapping | None):
            raise ValueError(f"Fusion: weights are given by block name, such as {{'time': 0.5}}, not as a {type(weights).__name__}")
        self.weights = dict(weights or {})
        for name, weight in self.weights.items():
            if not (isinstance(weight, Real) and 0 <= weight < np.inf):
                raise ValueError(f"Fusion: the weight of block '{name}' must be a number, zero or more, not {weight!r}")

    def fit(self, blocks: Mapping[str, pd.DataFrame]) -> Self:
        """Learn scales and components.

        blocks : name -> DataFrame, users x numbers, the same users in each (in any order), at least two.
        Raises `SchemaError` for other users in one block than in another, one user, missing or infinite values (see
        `recsys_kit.strata.table.as_table`), or blocks that do not vary at all; ValueError for a weight of an unknown block.
        """
        unknown = set(self.weights) - set(blocks)
        if unknown:
            raise ValueError(f"weights: there is no block '{min(unknown)}'; the blocks are {', '.join(blocks)}")
        users, tables = _checked(blocks)
        if len(users) < 2:
            raise SchemaError("one user has no variance: nothing can be learned.\nTo mend it: take at least two users")
        means = [values.mean(axis=0) for values in tables.values()]
        scales = [_spread(values - mean, np.abs(values).max()) for values, mean in zip(tables.values(), means, strict=True)]
        factors = [self.weights.get(name, 1.0) / scale if scale else 0.0 for name, scale in zip(blocks, scales, strict=True)]
        self._columns = {name: block.columns for name, block in blocks.items()}
        widths = [len(columns) for columns in self._columns.values()]
        self._mean, self._factor = np.concatenate(means), np.repeat(factors, widths)
        scaled = self._scaled(tables)
        total = np.einsum("ij,ij->", scaled, scaled)
        if total == 0:
            raise SchemaError(f"no block tells these {len(users):,} users apart: {', '.join(blocks)} are the same for all, or "
                              f"weigh nothing.\nTo mend it: take more users, other blocks, or weights above zero")
        squares, right = _right_singular(scaled, self.components)
        kept = squares > NO_RANK * squares[0]
        names = pd.Index([f"f{place:02d}" for place in range(1, kept.sum() + 1)])
        rows = pd.MultiIndex.from_tuples([(name, column) for name, columns in self._columns.items() for column in columns],
                                         names=["block", "column"])
        self.components_ = len(names)
        self.explained = pd.Series(squares[kept] / total, index=names, name="explained")
        self.loadings = pd.DataFrame(fixed_signs(right[:, kept]), index=rows, columns=names)
        self.contributions = (self.loadings**2).groupby(level="block", sort=False).sum()
        return self

    def transform(self, blocks: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """Components of users, known or new, with the means and scales learned: users x ``f01``, ``f02``, …

        Raises `SchemaError` for blocks or columns other than those fitted, and as `fit`; RuntimeError before `fit`.
        """
        if not hasattr(self, "loadings"):
            raise RuntimeError("this Fusion has not been fitted; call fit(blocks) first")
        if set(blocks) != set(self._columns):
            raise SchemaError(f"this Fusion was fitted on the blocks {', '.join(self._columns)}, not on "
                              f"{', '.join(blocks) or 'none'}.\n"
                              f"To mend it: make the blocks of new users with the transform that made the first ones")
        users, tables = _checked({name: blocks[name] for name in self._columns}, self._columns)
        return pd.DataFrame(self._scaled(tables) @ self.loadings.to_numpy(), index=users, columns=self.loadings.columns)

    def fit_transform(self, blocks: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """`fit`, then `transform` of the same blocks."""
        return self.fit(blocks).transform(blocks)

    def _scaled(self, tables: dict[str, np.ndarray]) -> np.ndarray:
        return (np.hstack(list(tables.values())) - self._mean) * self._factor


def _checked(blocks: Mapping[str, pd.DataFrame],
             columns: Mapping[str, pd.Index] | None = None) -> tuple[pd.Index, dict[str, np.ndarray]]:
    """The users (in the first block's order) and the numbers of every block, rows and columns in order."""
    if not blocks:
        raise SchemaError("there are no blocks.\nTo mend it: pass a dict such as {'all': table}")
    users, tables = None, {}
    for name, block in blocks.items():
        if not isinstance(block, pd.DataFrame):
            raise SchemaError(f"block '{name}' is a {type(block).__name__}, not a DataFrame with one row per user")
        try:
            table = as_table(block, None if columns is None else columns[name])
        except SchemaError as error:
            raise SchemaError(f"block '{name}': {error}") from None
        if users is None:
            first, users = name, table.users
        place = table.users.get_indexer(users)
        if len(table) != len(users) or (place < 0).any():
            odd = list(users.symmetric_difference(table.users)[:3])
            raise SchemaError(f"block '{name}' has {len(table):,} users, block '{first}' {len(users):,}, and they are not the "
                              f"same, for instance {', '.join(map(repr, odd))}.\nTo mend it: make all blocks from the same events")
        tables[name] = table.values if np.array_equal(place, np.arange(len(place))) else table.values[place]
    return users.rename(USER), tables


def _spread(centred: np.ndarray, largest: float) -> float:
    """Standard deviation along the first component; 0 where only rounding is left of it."""
    squares, _ = _right_singular(centred, 1)
    spread = float(np.sqrt(max(squares[0], 0) / len(centred)))
    return spread if spread > CONSTANT * largest else 0.0


def _right_singular(matrix: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest squared singular values, falling, and their right singular vectors (columns).

    By the smaller of the two Gram matrices: exact enough for components worth keeping, and 100,000 users cost one product.
    """
    tall = matrix.shape[0] >= matrix.shape[1]
    gram = matrix.T @ matrix if tall else matrix @ matrix.T
    most = min(most, len(gram))
    squares, vectors = eigh(gram, subset_by_index=(len(gram) - most, len(gram) - 1))
    squares, vectors = squares[::-1], vectors[:, ::-1]
    if not tall:
        vectors = matrix.T @ vectors / np.sqrt(np.maximum(squares, np.finfo(float).tiny))
    return squares, vectors
