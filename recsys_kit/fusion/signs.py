"""Signs of components: a component and its mirror image are equally good, so one of them is chosen for good."""

from __future__ import annotations

import numpy as np


def fixed_signs(components: np.ndarray) -> np.ndarray:
    """Columns turned so that the entry of largest size is positive; of nearly equal ones (1e-6) the first decides.

    >>> fixed_signs(np.array([[1.0, 0.5], [-2.0, 0.5]])).tolist()
    [[-1.0, 0.5], [2.0, 0.5]]
    """
    size = np.abs(components)
    place = np.argmax(size >= (1 - 1e-6) * size.max(axis=0), axis=0)
    sign = np.sign(components[place, np.arange(components.shape[1])])
    return components * np.where(sign == 0, 1, sign)
