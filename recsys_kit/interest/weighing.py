"""How much each column of layers counts: weights learned online, one step per visit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BEGIN = {"kindred": 1.0, "taste": 0.5, "missed": -0.5, "rising": 0.3, "words": 1.0}  # before anything is learned; others .1


class Weighing:
    """Weights of columns, 0 for those it may not use; Adagrad (Duchi et al., 2011) on the softmax likelihood of what was chosen.

    ``used`` names the columns it may use. ``weights``, ``squares``: (columns,), the weights and Adagrad's summed squared slopes.
    """

    def __init__(self, columns: Sequence[str], used: Sequence[str]):
        self._may = np.isin(columns, used)
        self.weights = np.array([BEGIN.get(column, 0.1) for column in columns]) * self._may
        self.squares = np.full(len(columns), 1e-3)

    def learn(self, x: np.ndarray, new: np.ndarray, free: np.ndarray, rate: float) -> None:
        """One step up ``mean over new items of log softmax(x w)_i``, the softmax over the free items.

        x : (items, columns). new : numbers of the items chosen, all of them free. free : (items,) booleans.
        """
        score = np.where(free, x @ self.weights, -np.inf)
        chance = np.exp(score - score.max())
        slope = (x[new].mean(axis=0) - chance @ x / chance.sum()) * self._may
        self.squares = self.squares + slope ** 2
        self.weights = self.weights + rate * slope / np.sqrt(self.squares)
