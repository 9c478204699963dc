"""Epochs of GMF, MLP or NeuMF on one core: what autograd would do, without a graph and without a step for every row of a table.

Three things make it quick. A batch is played in blocks of some hundred samples that stay in the cache. A row of a table (one user,
one item: GMF factors, MLP factors, bias, padding) lies in one piece, and Adam moves only the rows that a batch has touched (as
`torch.optim.SparseAdam` does). Negatives are drawn inside the loop. `tests/models/test_ncf.py` compares it with autograd.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  what np.dot is in a kernel; loaded here, so that its threads can be limited
from numba import njit

from recsys_kit.models.negatives import untouched

BLOCK = 512  # samples at once: the activations stay in the second-level cache
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # Adam's (Kingma and Ba, 2015)
PADDING = 32  # rows are a multiple of this many floats wide: whole vector registers, no remainder loop
ZERO, ONE = np.float32(0), np.float32(1)
KEEP1, KEEP2, TAKE1, TAKE2, TINY = (np.float32(c) for c in (BETA1, BETA2, 1 - BETA1, 1 - BETA2, EPSILON))


@njit(cache=True, fastmath=True, error_model="numpy")
def _adam(value, gradient, mean, square, rate):
    """One step for one row, and its gradient back to zero."""
    for j in range(len(value)):
        g = gradient[j]
        m, v = KEEP1 * mean[j] + TAKE1 * g, KEEP2 * square[j] + TAKE2 * g * g
        mean[j], square[j], gradient[j] = m, v, ZERO
        value[j] -= rate * m / (np.sqrt(v) + TINY)


@njit(cache=True, fastmath=True, error_model="numpy")
def play(users, items, uniform, indptr, touched, n_items, factors, sizes, tables, dense, step, batch, rate, l2):
    """Play batches of positives, each followed by its negatives; returns the summed loss.

    users, items : the positives, in the order to be played. uniform : (n, negatives) in [0, 1), one number per negative.
    tables : (4, 2, ...) as (value, gradient, mean, square) of the user and the item table. dense : (4, p), the same for the rest:
    weights of the GMF products, then per layer its matrix (out x in) and its bias, the weights of the last layer, a constant.
    step : (1,) steps so far, moved on. batch : positives per step.
    """
    U, GU, MU, SU, V, GV, MV, SV = tables
    w, gw = dense[0], dense[1]
    side = sizes[0] // 2
    bias = factors + side
    group = uniform.shape[1] + 1
    depth = len(sizes) - 1
    starts = np.zeros(depth + 1, np.int64)  # where in ``w`` each layer begins; last: the weights of the last layer
    starts[0] = factors
    for layer in range(depth):
        starts[layer + 1] = starts[layer] + (sizes[layer] + 1) * sizes[layer + 1]
    last, constant = sizes[depth] if depth else 0, w.size - 1
    most = max(1, BLOCK // group)
    x = np.zeros((depth + 1, most * group * sizes.max()), np.float32)  # activations per layer, and their gradients
    dx = np.zeros_like(x)
    piece = np.empty(sizes.max() ** 2, np.float32)
    who, what = np.empty(most * group, np.int64), np.empty(most * group, np.int64)
    logit, delta = np.empty(most * group, np.float32), np.empty(most * group, np.float32)
    stamp_u, stamp_v = np.zeros(len(U), np.int64), np.zeros(len(V), np.int64)  # the step in which a row was last touched
    rows_u, rows_v = np.empty(len(U), np.int64), np.empty(len(V), np.int64)
    total = 0.0
    for first in range(0, len(users), batch):
        end = min(first + batch, len(users))
        scale = np.float32(1 / ((end - first) * group))
        shrink = np.float32(l2) * scale
        step[0] += 1
        n_u = n_v = 0
        for block in range(first, end, most):
            n = 0
            for place in range(block, min(block + most, end)):
                u = users[place]
                low, high = indptr[u], indptr[u + 1]
                if stamp_u[u] != step[0]:
                    stamp_u[u] = step[0]
                    rows_u[n_u] = u
                    n_u += 1
                for s in range(group):
                    i = items[place]
                    if s > 0:
                        i = untouched(touched, low, high, np.int64(uniform[place, s - 1] * (n_items - (high - low))))
                    if stamp_v[i] != step[0]:
                        stamp_v[i] = step[0]
                        rows_v[n_v] = i
                        n_v += 1
                    who[n], what[n] = u, i
                    z = w[constant] + U[u, bias] + V[i, bias]
                    for c in range(factors):
                        z += w[c] * U[u, c] * V[i, c]
                    logit[n] = z
                    n += 1
            if depth:
                x0 = x[0, :n * 2 * side].reshape(n, 2 * side)
                for s in range(n):
                    for c in range(side):
                        x0[s, c] = U[who[s], factors + c]
                    for c in range(side):
                        x0[s, side + c] = V[what[s], factors + c]
                for layer in range(depth):  # hidden layers lie as (units, samples): long loops
                    rows, columns, at = sizes[layer + 1], sizes[layer], starts[layer]
                    weight, y = w[at:at + rows * columns].reshape(rows, columns), x[layer + 1, :rows * n].reshape(rows, n)
                    if layer == 0:
                        np.dot(weight, x0.T, y)
                    else:
                        np.dot(weight, x[layer, :columns * n].reshape(columns, n), y)
                    for r in range(rows):
                        b = w[at + rows * columns + r]
                        for s in range(n):
                            y[r, s] = max(y[r, s] + b, ZERO)
                y = x[depth, :last * n].reshape(last, n)
                for r in range(last):
                    b = w[starts[depth] + r]
                    for s in range(n):
                        logit[s] += b * y[r, s]
            for s in range(n):
                small = np.exp(-abs(logit[s]))
                positive = s % group == 0
                total += max(-logit[s] if positive else logit[s], ZERO) + np.log(ONE + small)
                chance = ONE / (ONE + small) if logit[s] >= 0 else small / (ONE + small)
                delta[s] = (chance - ONE if positive else chance) * scale
            if depth:
                y, d = x[depth, :last * n].reshape(last, n), dx[depth, :last * n].reshape(last, n)
                for r in range(last):
                    b, found = w[starts[depth] + r], ZERO
                    for s in range(n):
                        found += delta[s] * y[r, s]
                    for s in range(n):
                        d[r, s] = b * delta[s]
                    gw[starts[depth] + r] += found
                for layer in range(depth - 1, -1, -1):
                    rows, columns, at = sizes[layer + 1], sizes[layer], starts[layer]
                    weight = w[at:at + rows * columns].reshape(rows, columns)
                    product = piece[:rows * columns].reshape(rows, columns)
                    y, d = x[layer + 1, :rows * n].reshape(rows, n), dx[layer + 1, :rows * n].reshape(rows, n)
                    for r in range(rows):
                        found = ZERO
                        for s in range(n):
                            d[r, s] = d[r, s] if y[r, s] > ZERO else ZERO
                        for s in range(n):
                            found += d[r, s]
                        gw[at + rows * columns + r] += found
                    if layer == 0:
                        np.dot(d, x0, product)
                        np.dot(d.T, weight, dx[0, :n * 2 * side].reshape(n, 2 * side))
                    else:
                        np.dot(d, x[layer, :columns * n].reshape(columns, n).T, product)
                        np.dot(weight.T, d, dx[layer, :columns * n].reshape(columns, n))
                    for j in range(rows * columns):
                        gw[at + j] += piece[j]
                d0 = dx[0, :n * 2 * side].reshape(n, 2 * side)
                for s in range(n):
                    u, i = who[s], what[s]
                    for c in range(side):
                        GU[u, factors + c] += d0[s, c] + shrink * U[u, factors + c]
                    for c in range(side):
                        GV[i, factors + c] += d0[s, side + c] + shrink * V[i, factors + c]
            for s in range(n):
                u, i, e = who[s], what[s], delta[s]
                gw[constant] += e
                GU[u, bias] += e
                GV[i, bias] += e
                for c in range(factors):
                    GU[u, c] += e * w[c] * V[i, c] + shrink * U[u, c]
                for c in range(factors):
                    GV[i, c] += e * w[c] * U[u, c] + shrink * V[i, c]
                for c in range(factors):
                    gw[c] += e * U[u, c] * V[i, c]
        now = np.float32(rate * np.sqrt(1 - BETA2 ** step[0]) / (1 - BETA1 ** step[0]))
        for row in rows_u[:n_u]:
            _adam(U[row], GU[row], MU[row], SU[row], now)
        for row in rows_v[:n_v]:
            _adam(V[row], GV[row], MV[row], SV[row], now)
        _adam(dense[0], dense[1], dense[2], dense[3], now)
    return total
