"""Each half pass of IALS is the exact minimum of the loss as the paper writes it, so the loss never rises."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.evaluate import split
from recsys_kit.evaluate.protocol import evaluate_ranking, relevant_pairs
from recsys_kit.models.als import IALS, minimise
from tests.models.conformance import RankerConformance, history


class TestFewFactors(RankerConformance):
    def make(self):
        return IALS(4, epochs=3)


class TestMoreFactorsThanAnyHistoryIsLong(RankerConformance):
    def make(self):
        return IALS(25, epochs=3, confidence="log", alpha=5)


def loss(extra, X, Y, *, unobserved, l2, frequency) -> float:
    """The loss pair by pair, as Hu et al. and Rendle et al. print it."""
    total = 0.0
    for u in range(len(X)):
        for i in range(len(Y)):
            a = extra[u, i]
            total += (unobserved + a) * ((1.0 if a else 0.0) - X[u] @ Y[i]) ** 2
    for vectors, counts, others in ((X, (extra > 0).sum(1), len(Y)), (Y, (extra > 0).sum(0), len(X))):
        for vector, count in zip(vectors, counts, strict=True):
            total += l2 * (count + unobserved * others) ** frequency * vector @ vector
    return total


def example(seed=0, n=12, m=9, d=4):
    rng = np.random.default_rng(seed)
    extra = rng.gamma(1, 2, (n, m)) * (rng.random((n, m)) < 0.4)
    extra[0], extra[1] = 0, rng.gamma(1, 2, m)  # nobody, and somebody with more items than factors
    return extra, rng.normal(size=(m, d))


@pytest.mark.parametrize("d", [2, 4, 30])
@pytest.mark.parametrize("unobserved", [0.05, 1.0])
def test_a_half_step_solves_the_normal_equations_of_every_row(d, unobserved):
    extra, Y = example(d=d)
    penalty = np.linspace(0.1, 3, len(extra))
    found, value = minimise(sparse.csr_array(extra), Y, unobserved, penalty)
    expected, total = [], 0.0
    for a, strength in zip(extra, penalty, strict=True):
        weights, target = np.diag(unobserved + a), (a > 0).astype(float)
        x = np.linalg.solve(Y.T @ weights @ Y + strength * np.eye(d), Y.T @ weights @ target)
        expected.append(x)
        total += (target - Y @ x) @ weights @ (target - Y @ x) + strength * x @ x
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4) and not found[0].any()
    assert value == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("frequency", [0.0, 1.0])
def test_the_gradient_at_the_users_vectors_is_zero_and_any_step_from_them_costs(frequency):
    table = history()
    model = IALS(4, epochs=2, l2=0.3, unobserved=0.2, alpha=2, confidence="linear", frequency=frequency).fit(table)
    known = Interactions.from_events(table)
    settings = dict(unobserved=0.2, l2=0.3, frequency=frequency)
    extra, X, Y = 2 * known.matrix.toarray().astype(float), model.vectors(known.users), model.item_vectors_
    best, rng = loss(extra, X, Y, **settings), np.random.default_rng(0)
    for _ in range(5):
        direction = rng.normal(size=X.shape) * 1e-2
        up, down = loss(extra, X + direction, Y, **settings), loss(extra, X - direction, Y, **settings)
        assert up > best < down and abs(up - down) < 1e-3 * (up + down - 2 * best)


@pytest.mark.parametrize("settings", [dict(), dict(confidence="linear", alpha=3.0), dict(confidence="log", frequency=0.5),
                                      dict(frequency=0.0, l2=4.0, unobserved=1.0)])
def test_the_objective_is_the_loss_and_never_rises(settings):
    table = history()
    model = IALS(4, epochs=6, **settings).fit(table)
    assert len(model.objective_) == 12 and (np.diff(model.objective_) <= 1e-6 * model.objective_[0]).all()
    counts = Interactions.from_events(table).matrix.toarray().astype(float)
    extra = model.alpha * {"binary": counts > 0, "linear": counts, "log": np.log1p(counts)}[model.confidence]
    X = model.vectors(sorted(table["user_id"].unique()))  # one more half step than the objective has seen
    now = loss(extra, X, model.item_vectors_, unobserved=model.unobserved, l2=model.l2, frequency=model.frequency)
    assert 0.95 * model.objective_[-1] < now <= model.objective_[-1] * (1 + 1e-6)


def test_with_one_pass_the_objective_is_the_loss_of_exactly_these_vectors():
    table = history()
    model = IALS(4, epochs=1, l2=0.2).fit(table)
    extra = (Interactions.from_events(table).matrix.toarray() > 0).astype(float)
    start = np.random.default_rng(0).normal(0, 0.1 / 2, (extra.shape[1], 4))
    rows = sparse.csr_array(extra)
    X = minimise(rows, start, model.unobserved, model._penalty(rows))[0]
    settings = dict(unobserved=model.unobserved, l2=0.2, frequency=1.0)
    assert model.objective_ == pytest.approx([loss(extra, X, start, **settings), loss(extra, X, model.item_vectors_, **settings)],
                                             rel=1e-5)


def test_a_half_step_is_that_of_the_library_implicit():
    from implicit.cpu.als import AlternatingLeastSquares
    extra, Y = example(n=40, m=30, d=8)
    theirs = AlternatingLeastSquares(factors=8, regularization=0.7, alpha=1.0, use_cg=False, num_threads=1, dtype=np.float64)
    theirs.item_factors, theirs.user_factors = Y, np.zeros((40, 8))
    confidence = sparse.csr_matrix(np.where(extra > 0, 1 + extra, 0))  # they are given c = 1 + a
    expected = theirs.recalculate_user(np.arange(40), confidence)
    found = minimise(sparse.csr_array(extra), Y, 1.0, np.full(40, 0.7))[0]
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4)


def as_theirs(rows) -> sparse.csr_matrix:
    """implicit reads 32-bit indices only."""
    return sparse.csr_matrix((rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32)), shape=rows.shape)


def test_its_lists_measured_by_implicit_have_the_numbers_they_have_here():
    from implicit.cpu.als import AlternatingLeastSquares
    from implicit.evaluation import ranking_metrics_at_k
    parts = split.random(history(users=60, items=40, events=1500), test=0.3, rng=0)
    model = IALS(4, epochs=4).fit(parts.train)
    users = pd.Index(sorted(set(parts.train["user_id"]) & set(parts.test["user_id"])))
    fresh = relevant_pairs(parts)
    assert set(fresh["user_id"]) <= set(users) and set(fresh["item_id"]) <= set(model.items_)
    train = Interactions.from_events(parts.train).rows(users)
    dated = fresh.assign(behaviour="view", timestamp=pd.Timestamp("2024-01-01"))
    test = Interactions.from_events(dated, items=model.items_).rows(users)
    theirs = AlternatingLeastSquares(factors=4, num_threads=1)
    theirs.user_factors = model.vectors(users).astype(np.float32)
    theirs.item_factors = model.item_vectors_.astype(np.float32)
    found = ranking_metrics_at_k(theirs, as_theirs(train), as_theirs(test), K=5, show_progress=False, num_threads=1)
    ours = evaluate_ranking(model, parts, k=5).mean()
    assert ours["ndcg"] == pytest.approx(found["ndcg"], rel=1e-6) and ours["map_min"] == pytest.approx(found["map"], rel=1e-6)
    assert 0.1 < ours["ndcg"] < 0.9


def test_more_evidence_makes_surer_only_where_confidence_grows():
    table = pd.concat([history(), *[history().query("item_id == 'i03'")] * 5])
    once, often = (IALS(4, alpha=5, confidence=kind).fit(table) for kind in ("binary", "linear"))
    who = history().query("item_id == 'i03'")["user_id"].unique()
    column = once.items_.get_loc("i03")
    assert np.abs(1 - often.score(who)[:, column]).mean() < 0.75 * np.abs(1 - once.score(who)[:, column]).mean()


def test_users_fold_in_from_what_they_touched_before_a_moment():
    table = history()
    moment = table["timestamp"].iloc[200]
    model = IALS(4, epochs=3).fit(table)
    before = table[table["timestamp"] < moment]
    rows = Interactions.from_events(before, items=model.items_).rows(["u05"])
    rows.data[:] = 1
    expected = minimise(rows, model.item_vectors_, model.unobserved, model._penalty(rows))[0]
    assert np.allclose(model.vectors(["u05"], at=moment), expected) and not np.allclose(model.vectors(["u05"]), expected)
    assert np.allclose(model.score(["u05"], at=moment), expected @ model.item_vectors_.T)
    assert np.isnan(model.score(["nobody"])).all() and not model.vectors(["nobody"]).any()


def test_the_published_form_of_the_loss_is_this_one_with_another_l2():
    """Rendle et al. pull all pairs to 0 and the touched ones to 1: all vectors are ours shortened, so the lists are the same."""
    extra, Y = example(d=4)
    rows = sparse.csr_array((extra > 0).astype(float))
    scale, unobserved = 1.3, 0.3
    ours = minimise(rows, np.sqrt(scale) * Y, unobserved, np.full(len(extra), 0.7 * scale))[0]
    theirs = [np.linalg.solve(unobserved * Y.T @ Y + Y[a > 0].T @ Y[a > 0] + 0.7 * np.eye(4), Y[a > 0].sum(0)) for a in extra]
    assert np.allclose(ours, np.sqrt(scale) * np.array(theirs), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("wrong", [dict(factors=0), dict(epochs=0), dict(l2=0), dict(l2=-1), dict(unobserved=0),
                                   dict(alpha=float("nan")), dict(confidence="sure"), dict(factors=2.5),
                                   dict(frequency=float("nan")), dict(frequency=-1)])
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong)))):
        IALS(**wrong)


def test_a_loss_too_flat_to_solve_says_what_to_change():
    table = pd.concat([history(), history().assign(item_id=lambda t: "same " + t["item_id"])])
    with pytest.raises(ValueError, match="raise l2"):
        IALS(40, l2=1e-30, unobserved=1e-30, alpha=1e12, frequency=0).fit(table)
