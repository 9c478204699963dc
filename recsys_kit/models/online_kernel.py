"""One step of the Kalman filter of `online_rating.KalmanMF`, compiled: a rating costs a microsecond, not fifty."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(error_model="numpy", cache=True)
def kalman_step(user, item, rest, noise, drift):
    """Learn one rating in place. user, item : (k + 1, k) float64, mean over covariance. rest : the rating less the running mean."""
    k = user.shape[1]
    user[1, 0] += drift
    h, g = item[0].copy(), user[0].copy()
    error = rest - h[0] - g[0]
    for j in range(1, k):
        error -= h[j] * g[j]
    h[0] = g[0] = 1.0
    gain_user, gain_item = np.zeros(k), np.zeros(k)
    variance = noise
    for j in range(k):
        for n in range(k):
            gain_user[j] += user[1 + j, n] * h[n]
            gain_item[j] += item[1 + j, n] * g[n]
        variance += h[j] * gain_user[j] + g[j] * gain_item[j]
    for j in range(k):
        user[0, j] += gain_user[j] * error / variance
        item[0, j] += gain_item[j] * error / variance
        for n in range(k):
            user[1 + j, n] -= gain_user[j] * gain_user[n] / variance
            item[1 + j, n] -= gain_item[j] * gain_item[n] / variance
