"""EASE from either side, iALS against the library implicit, GF-CF at full size: ``python benchmarks/bench_linear.py``.

All on one thread and in CPU seconds, so that a busy machine shows the same. Sets that are not on this machine are skipped.
Wanted: EASE by the users where they are fewer, at the same scores; an exact pass of iALS faster than implicit's exact pass, and
its lists as good as implicit's under implicit's own evaluation; GF-CF on Gowalla within 3 minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np  # noqa: E402 - after the threads are set
import pandas as pd  # noqa: E402
from scipy import sparse  # noqa: E402

from recsys_kit.data.interactions import Interactions  # noqa: E402
from recsys_kit.data.published import published  # noqa: E402
from recsys_kit.data.sources import DataError  # noqa: E402
from recsys_kit.evaluate.protocol import evaluate_ranking  # noqa: E402
from recsys_kit.evaluate.split import Split  # noqa: E402
from recsys_kit.models import ease  # noqa: E402
from recsys_kit.models.als import IALS  # noqa: E402
from recsys_kit.models.graph import GFCF  # noqa: E402


def seconds(work: Callable[[], object]) -> tuple[float, object]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def either_side(users: int = 1_000, items: int = 4_000, each: int = 40) -> None:
    """A wide matrix: the same scores from both sides."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"user_id": np.repeat(np.arange(users), each).astype(str), "behaviour": "click",
                          "item_id": (items * rng.random(users * each) ** 2).astype(int).astype(str),
                          "timestamp": pd.Timestamp("2024-01-01")})
    who, scores = table["user_id"].unique(), []
    choose = ease._by_users
    for side, by_users in (("users", True), ("items", False)):
        ease._by_users = lambda users, items, answer=by_users: answer
        fit, model = seconds(lambda: ease.EASE(100).fit(table))
        ask, found = seconds(lambda model=model: model.score(who))
        kept = sum(array.nbytes for array in (model.item_weights_, model.user_inverse_, model.explained_) if array is not None)
        print(f"EASE by the {side}: fit {fit:6.2f} s, all scores {ask:5.2f} s, keeps {kept / 1e6:6.0f} MB")
        scores.append(found)
    ease._by_users = choose
    print(f"    {users:,} users x {items:,} items; largest difference of two scores {np.abs(scores[0] - scores[1]).max():.1e}")


def against_implicit() -> None:
    """Passes and lists, MovieLens 1M: a fifth of the pairs held back at random."""
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k

    files = published("ncf-ml1m")
    held = np.random.default_rng(0).random(len(files.train)) < 0.2
    parts = Split(files.train[~held], files.train[held], "at random")
    known = Interactions.from_events(parts.train)
    test = Interactions.from_events(parts.test[parts.test["item_id"].isin(known.items)], items=known.items).rows(known.users)
    train, test = (sparse.csr_matrix((rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32)), shape=rows.shape)
                   for rows in (known.matrix, test))  # implicit reads 32-bit indices only

    def judge(users: np.ndarray, items: np.ndarray) -> dict:
        model = AlternatingLeastSquares(factors=items.shape[1], num_threads=1)
        model.user_factors, model.item_factors = users.astype(np.float32), items.astype(np.float32)
        return ranking_metrics_at_k(model, train, test, K=20, show_progress=False, num_threads=1)

    print("iALS, MovieLens 1M                  s a pass   nDCG@20 and MAP@20 by implicit's evaluation")
    for factors in (64, 128):
        for name, settings in (("exact, frequency 1", {}), ("exact, frequency 0", {"frequency": 0.0, "l2": 8.0})):
            model = IALS(factors, epochs=8, unobserved=0.3, **({"l2": 0.0091} | settings))
            spent, model = seconds(lambda model=model: model.fit(parts.train))
            theirs, ours = judge(model.vectors(known.users), model.item_vectors_), evaluate_ranking(model, parts, k=20).mean()
            print(f"  {factors:3} {name:28} {spent / 8:8.2f}   {theirs['ndcg']:.4f} {theirs['map']:.4f}"
                  f"   (by the kit's: {ours['ndcg']:.4f} {ours['map_min']:.4f})")
        for name, cg in (("implicit, exact", False), ("implicit, 3 steps of CG", True)):
            # the same loss: 1.3 and .3 as 13/3 and 1, and the penalty divided alike
            model = AlternatingLeastSquares(factors=factors, regularization=8.0 / 0.3, alpha=1.3 / 0.3, iterations=8, use_cg=cg,
                                            num_threads=1, random_state=0)
            spent, _ = seconds(lambda model=model: model.fit(train, show_progress=False))
            theirs = ranking_metrics_at_k(model, train, test, K=20, show_progress=False, num_threads=1)
            print(f"  {factors:3} {name:28} {spent / 8:8.2f}   {theirs['ndcg']:.4f} {theirs['map']:.4f}")


def at_full_size() -> None:
    files = published("gowalla-lightgcn")
    fit, model = seconds(lambda: GFCF().fit(files.train))
    ask, found = seconds(lambda: evaluate_ranking(model, Split(files.train, files.test, "as published"), k=20).mean())
    print(f"GF-CF, Gowalla: fit {fit:.0f} s, rank and judge everybody {ask:.0f} s; "
          f"recall@20 {found['recall']:.4f}, nDCG@20 {found['ndcg']:.4f}")


def main() -> None:
    for part in (either_side, against_implicit, at_full_size):
        try:
            part()
        except DataError as error:
            print(f"{part.__name__}: {str(error).splitlines()[0]}")


if __name__ == "__main__":
    main()
