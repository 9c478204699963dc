"""Topics of what users touch (主题): Latent Dirichlet Allocation on counts, with topics a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import USER, SchemaError
from recsys_kit.strata.table import as_table, whole

BATCH, STEPS = 32, 5     # users per update; rounds to find a user's mixture while learning (100 once learned)
STARTS, GLANCE = 4, 48   # short starts, and updates each of them gets
UPDATES = 128            # updates the best of them gets, rounded up to whole passes over the users
RELEVANCE = 0.6        # lambda: what readers of topics found most telling in Sievert and Shirley's study


class Topics:
    """Latent Dirichlet Allocation (Blei, Ng and Jordan, 2003): a user mixes ``n`` topics, a topic is a distribution of items.

    A user u draws a mixture ``theta_u ~ Dirichlet(1/n)``, then every event a topic from it and a column (an item, a category)
    from that topic's ``phi_k``. Learned by scikit-learn's online variational Bayes (Hoffman, Blei and Bach, 2010) from the best
    of four short starts, since a single start often ends in a poor local optimum. Topics are numbered by their share of all
    counts, the largest is ``topic_0``.

    ``counts`` is a DataFrame users x columns of counts, or `Interactions`. They must not be negative: LDA explains how often
    something was drawn. Shares are possible but say that every user acted once; give counts.

    Parameters
    ----------
    n : number of topics. rng : None, int or Generator; same seed, same topics.

    Attributes
    ----------
    share : Series, topic -> share of all counts, ``sum_u N_u theta_uk / sum_u N_u`` with ``N_u`` the user's counts.
    distributions : DataFrame, topics x columns: ``phi``, every row sums to 1.

    Raises `SchemaError` for negative, missing or infinite values, no count at all, or other columns than those learned from
    (see `recsys_kit.strata.table.as_table`), ValueError for fewer than one topic, RuntimeError before `fit`.

    >>> counts = pd.DataFrame({"tea": [9, 8, 0], "mug": [7, 9, 0], "drill": [0, 0, 9]}, index=["a", "b", "c"])
    >>> Topics(2, rng=0).fit(counts).words(1)["words"].tolist()
    ['tea', 'drill']
    """

    def __init__(self, n: int = 5, rng=None):
        self.n, self.rng = whole(n, 1, "Topics: n"), rng

    def fit(self, counts: pd.DataFrame | Interactions) -> Self:
        """Learn the topics."""
        _, columns, matrix = _checked(counts)
        if not matrix.data.size:
            raise SchemaError("all counts are zero: there is nothing to find topics in")
        rng = np.random.default_rng(self.rng)
        model = _best_of(STARTS, matrix[rng.permutation(matrix.shape[0])], self.n, rng)
        of_user = np.asarray(matrix.sum(axis=1)).ravel()
        share = of_user @ model.transform(matrix) / of_user.sum()
        self._order = np.argsort(-share, kind="stable")
        self._model, self._columns = model, columns
        self._overall = np.asarray(matrix.sum(axis=0)).ravel() / of_user.sum()
        names = pd.Index([f"topic_{place}" for place in range(self.n)], name="topic")
        phi = model.components_[self._order]
        self.share = pd.Series(share[self._order], index=names, name="share")
        self.distributions = pd.DataFrame(phi / phi.sum(axis=1, keepdims=True), index=names, columns=columns)
        return self

    def transform(self, counts: pd.DataFrame | Interactions) -> pd.DataFrame:
        """Mean of every user's mixture given the counts: users x topics, rows sum to 1.

        A user without counts gets equal shares: what the model believes before it has seen anything.
        """
        users, _, matrix = self._known(counts)
        mixture = self._model.transform(matrix)[:, self._order]
        return pd.DataFrame(mixture, index=users.rename(USER), columns=self.share.index.rename(None))

    def words(self, n: int = 5, titles: Mapping | pd.Series | None = None) -> pd.DataFrame:
        """What the topics are about: index topic; ``share`` of all counts, ``words``: the ``n`` most relevant columns.

        Relevance (Sievert and Shirley, 2014): ``0.6 log phi_kw + 0.4 log(phi_kw / p_w)``, with ``p_w`` the column's share of all
        counts. The most probable columns alone would name the best-sellers in every topic.
        titles : column -> what to print, such as ``items.set_index("item_id")["title"]``; what it lacks is printed as it is, and
        what is titled alike once; of several titles of one column the first is printed. Raises ValueError for ``n`` below 1.
        """
        n = whole(n, 1, "words: n")
        self._check_fitted()
        occurs = np.flatnonzero(self._overall > 0)
        log_phi = np.log(self.distributions.to_numpy()[:, occurs])
        relevance = RELEVANCE * log_phi + (1 - RELEVANCE) * (log_phi - np.log(self._overall[occurs]))
        printed = _printed(self._columns[occurs], titles)
        best = (printed[row].drop_duplicates()[:n] for row in np.argsort(-relevance, axis=1, kind="stable"))
        return pd.DataFrame({"share": self.share, "words": ["; ".join(names) for names in best]})

    def perplexity(self, counts: pd.DataFrame | Interactions, rng=0) -> float:
        """How surprised the topics are by users they were not learned from: the lower the better, 1 at best.

        Document completion (Wallach and others, 2009): of each user's counts a random half tells the mixture ``theta``, the other
        half is scored, ``exp(-sum_uw n_uw log(theta_u . phi_w) / sum n_uw)``. A model that knows nothing has the number of columns.
        rng : which halves are drawn; by default the same every time.
        Raises `SchemaError` for counts that are not whole or are too few to halve.
        """
        users, columns, matrix = self._known(counts)
        if (matrix.data % 1 != 0).any():
            raise SchemaError("perplexity halves every user's counts at random: they must be whole numbers, not weights or shares")
        told, scored = matrix.copy(), matrix.copy()
        told.data = np.random.default_rng(rng).binomial(matrix.data.astype(np.int64), 0.5).astype(np.float64)
        scored.data = matrix.data - told.data
        told.eliminate_zeros()
        if not scored.data.sum():
            raise SchemaError("there are too few counts to score: take more users")
        mixture, phi = self._model.transform(told)[:, self._order], self.distributions.to_numpy()
        user, column = np.repeat(np.arange(len(users)), np.diff(scored.indptr)), scored.indices
        likely = sum(mixture[user, topic] * phi[topic, column] for topic in range(self.n))
        return float(np.exp(-(scored.data @ np.log(likely)) / scored.data.sum()))

    def _known(self, counts) -> tuple[pd.Index, pd.Index, sparse.csr_array]:
        self._check_fitted()
        return _checked(counts, self._columns)

    def _check_fitted(self) -> None:
        if not hasattr(self, "distributions"):
            raise RuntimeError("these Topics have not been fitted; call fit(counts) first")


def _checked(counts, columns: pd.Index | None = None) -> tuple[pd.Index, pd.Index, sparse.csr_array]:
    """Users, columns and counts as a sparse matrix without stored zeros."""
    table = as_table(counts, columns)
    matrix = sparse.csr_array(table.values, dtype=np.float64, copy=True)
    matrix.eliminate_zeros()
    if matrix.data.min(initial=0) < 0:
        place = np.argmax(matrix.data < 0)
        raise SchemaError(f"column '{table.columns[matrix.indices[place]]}' holds {matrix.data[place]:.4g}; there are "
                          f"{(matrix.data < 0).sum():,} negative numbers. LDA explains counts, how often something was drawn from "
                          f"a topic, and nothing is drawn less than never.\nTo mend it: give it counts of items or categories, not "
                          f"PCA components or scaled features")
    return table.users, table.columns, matrix


def _best_of(starts: int, matrix: sparse.csr_array, n: int, rng: np.random.Generator):
    """The model whose first look at some users explains them best, led on over all. ``matrix`` holds the users in random order."""
    from sklearn.decomposition import LatentDirichletAllocation

    users = matrix.shape[0]
    few, models, surprises = matrix[:GLANCE * BATCH], [], []
    for _ in range(starts if n > 1 else 1):
        model = LatentDirichletAllocation(n, batch_size=BATCH, max_doc_update_iter=STEPS, total_samples=users, n_jobs=1,
                                          random_state=int(rng.integers(2**31 - 1)))
        _lead_on(model, few, GLANCE)
        models.append(model)
        with np.errstate(over="ignore"):  # counts far below one: every start may be infinitely surprised, the first is taken then
            surprises.append(model.perplexity(few[:GLANCE * BATCH // 4]))
    best = models[int(np.argmin(np.nan_to_num(surprises, nan=np.inf)))]
    _lead_on(best, matrix, UPDATES)
    return best.set_params(max_doc_update_iter=100)


def _lead_on(model, matrix: sparse.csr_array, updates: int) -> None:
    a_pass = -(-matrix.shape[0] // BATCH)
    for _ in range(-(-updates // a_pass)):
        model.partial_fit(matrix)


def _printed(columns: pd.Index, titles: Mapping | pd.Series | None) -> pd.Index:
    name = columns.to_series()
    if isinstance(titles, pd.Series):
        titles = titles[~titles.index.duplicated()]
    title = name if titles is None else name.map(titles)
    return pd.Index(title.where(title.notna(), name).astype(str))
