"""Neighbours against implicit's and against a plain scikit-learn loop, side by side: ``python benchmarks/bench_neighbours.py``.

Nothing is asserted. CPU seconds of one thread, the best of three; a ratio above 1 says that the kit is faster. *same* is the share
of the neighbours kept that both have, ties aside. Sets that are not on this machine are left out.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics.pairwise import cosine_similarity

from recsys_kit import DataError, load
from recsys_kit.data.interactions import Interactions
from recsys_kit.data.published import published
from recsys_kit.models.neighbours import ItemKNN, UserKNN
from recsys_kit.models.neighbours_kernel import COSINE, most_similar

N = 100


def best(make, times: int = 3):
    """CPU seconds of the fastest of some runs, and what it made."""
    seconds = []
    for _ in range(times):
        began = time.process_time()
        made = make()
        seconds.append(time.process_time() - began)
    return min(seconds), made


def plain(touched: sparse.csr_array) -> np.ndarray:
    """The textbook: the whole similarity matrix at once, and an argsort of each row. (items, N) positions."""
    similarity = cosine_similarity(touched.T, dense_output=True)
    np.fill_diagonal(similarity, 0)
    return np.argsort(-similarity, axis=1)[:, :N]


def by_implicit(touched: sparse.csr_array):
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=N + 1, num_threads=1)  # it counts each item as its own neighbour
    with warnings.catch_warnings(action="ignore"):  # that it takes another form of matrix inside
        model.fit(sparse.csr_matrix(touched), show_progress=False)
    return model.similarity


def same(ours: sparse.csr_array, theirs: sparse.csr_array) -> float:
    """Share of our neighbours whose similarity the other has as well, to six digits."""
    theirs = sparse.csr_array(theirs)
    row = np.repeat(np.arange(ours.shape[0]), np.diff(ours.indptr))
    return float(np.isclose(np.asarray(theirs[row, ours.indices]).ravel(), ours.data, atol=1e-6).mean())


def sets():
    yield "market", lambda: load("market").events
    yield "movielens-100k", lambda: load("movielens-100k").events
    yield "movielens-1m", lambda: published("ncf-ml1m").train
    yield "online-retail", lambda: load("online-retail").events.query("behaviour == 'purchase'").dropna(subset="user_id")
    yield "citeulike-a", lambda: published("cmn-citeulike-a").train


def main() -> None:
    print(f"{'similarities':16s}{'users':>8s}{'items':>8s}{'pairs':>10s}{'kit s':>8s}{'implicit s':>12s}{'ratio':>7s}{'same':>7s}"
          f"{'sklearn s':>11s}{'ratio':>7s}")
    for name, make in sets():
        try:
            events = make()
        except DataError:
            continue
        table = Interactions.from_events(events)
        touched = sparse.csr_array((table.matrix > 0).astype(np.float64))
        back, everyone = touched.T.tocsr(), np.arange(touched.shape[1])
        kit, ours = best(lambda: most_similar(back, touched, everyone, kind=COSINE, n=N))  # noqa: B023
        theirs, other = best(lambda: by_implicit(touched))  # noqa: B023
        loop, _ = best(lambda: plain(touched), 1)  # noqa: B023
        print(f"{name:16s}{touched.shape[0]:8,d}{touched.shape[1]:8,d}{touched.nnz:10,d}{kit:8.2f}{theirs:12.2f}{theirs / kit:7.2f}"
              f"{same(ours, other):7.1%}{loop:11.2f}{loop / kit:7.2f}")
    events = load("market").events
    users = pd.Index(events["user_id"].unique())
    print(f"\nmarket, {len(events):,} events as a table: seconds to fit, and for the 20 best of {len(users):,} users")
    for model in (ItemKNN(N), UserKNN(N)):
        fit, fitted = best(lambda: model.fit(events))  # noqa: B023
        print(f"  {type(model).__name__:10s}{fit:8.2f}{best(lambda: fitted.top(users, 20))[0]:8.2f}")  # noqa: B023


if __name__ == "__main__":
    main()
