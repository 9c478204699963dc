"""Every index against scikit-learn's own, on dense tables and on the same numbers as a sparse interest matrix."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import metrics

from recsys_kit.data.interactions import Interactions
from recsys_kit.schema import SchemaError
from recsys_kit.strata import indices
from recsys_kit.strata.indices import qualities, quality, silhouette
from recsys_kit.strata.table import as_table

THEIRS = {"silhouette": metrics.silhouette_score, "calinski_harabasz": metrics.calinski_harabasz_score,
          "davies_bouldin": metrics.davies_bouldin_score}


def frame(values) -> pd.DataFrame:
    return pd.DataFrame(values, index=[f"u{row:05d}" for row in range(len(values))])


def interest(values) -> Interactions:
    matrix = sparse.csr_array(np.asarray(values, dtype=np.float32))
    return Interactions(pd.Index([f"u{row:05d}" for row in range(matrix.shape[0])]),
                        pd.Index([f"i{column}" for column in range(matrix.shape[1])]), matrix, np.zeros(matrix.nnz, dtype=np.int64))


@pytest.fixture
def users() -> tuple[pd.DataFrame, np.ndarray]:
    """300 users around three points, one of them in a stratum alone."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    labels[17] = 3
    return frame(rng.normal(size=(300, 4)) + 2 * rng.normal(size=(4, 4))[labels]), labels


def test_every_index_is_that_of_scikit_learn(users):
    data, labels = users
    ours = quality(data, labels)
    for name, theirs in THEIRS.items():
        assert ours[name] == pytest.approx(theirs(data, labels), rel=1e-7), name  # they lose digits where a user sits on the centre


def test_many_partitions_at_once_give_what_each_gives_alone(users):
    data, labels = users
    partitions = [labels, np.random.default_rng(1).integers(0, 7, len(data)), np.arange(len(data)) % 2]
    together = qualities(as_table(data), partitions)
    for row, partition in zip(together.to_dict("records"), partitions, strict=True):
        assert row == pytest.approx(quality(data, partition).to_dict(), rel=1e-9)


def test_far_from_the_origin_the_indices_stay_those_of_scikit_learn(users):
    data, labels = users
    assert quality(data + 1e6, labels).to_dict() == pytest.approx(quality(data, labels).to_dict(), rel=1e-6)


def test_a_sparse_interest_matrix_gives_what_the_dense_table_gives():
    rng = np.random.default_rng(2)
    labels = np.arange(200) % 4
    counts = rng.poisson(0.05 + (np.arange(60) % 4 == labels[:, None]) * 0.6)
    counts[5] = 0  # a user who touched nothing
    dense, thin = quality(frame(counts), labels), quality(interest(counts), labels)
    assert thin.to_dict() == pytest.approx(dense.to_dict(), rel=1e-6)
    for name, theirs in THEIRS.items():
        assert thin[name] == pytest.approx(theirs(counts, labels), rel=1e-6), name


def test_within_and_between_add_up_to_the_variance(users):
    data, labels = users
    found = quality(data, labels)
    assert found["within"] + found["between"] == pytest.approx(data.var(ddof=0).sum())
    centres = data.groupby(labels).transform("mean")
    assert found["within"] == pytest.approx(((data - centres) ** 2).sum(axis=1).mean())


def test_labels_are_matched_by_user_id(users):
    data, labels = users
    mixed = pd.Series(labels, index=data.index).sample(frac=1, random_state=0)
    assert quality(data, mixed).equals(quality(data, labels))


def test_noise_is_left_out(users):
    data, labels = users
    noisy = np.where(np.arange(len(data)) % 5 == 0, -1, labels)
    kept = noisy >= 0
    assert quality(data, noisy).to_dict() == pytest.approx(quality(data[kept], labels[kept]).to_dict())
    assert quality(data, np.full(len(data), -1)).drop("silhouette_error").isna().all()


@pytest.mark.parametrize("labels", [np.zeros(6), np.arange(6)])
def test_one_stratum_or_a_stratum_per_user_has_a_variance_and_no_index(labels):
    found = quality(frame(np.arange(12.0).reshape(6, 2)), labels)
    assert found[["within", "between"]].notna().all() and found.drop(["within", "between"]).isna().all()


def test_users_that_are_all_one_point_and_centres_that_fall_together():
    twins = frame(np.ones((6, 2)))
    found = quality(twins, [0, 0, 0, 1, 1, 1])
    assert (found["silhouette"], found["davies_bouldin"]) == (0, 0) == (found["within"], found["between"])
    cross = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1], [5, 5], [5, 6]])
    labels = [0, 0, 1, 1, 2, 2]
    assert quality(frame(cross), labels)["davies_bouldin"] == pytest.approx(metrics.davies_bouldin_score(cross, labels))


def test_strata_of_nothing_but_duplicates_are_infinitely_good_for_calinski_and_harabasz():
    found = quality(frame([[0.0], [0.0], [1.0], [1.0]]), [0, 0, 1, 1])
    assert found["calinski_harabasz"] == np.inf and found["silhouette"] == 1 and found["davies_bouldin"] == 0


def test_a_sampled_silhouette_lies_within_its_error_of_the_exact_one(monkeypatch):
    monkeypatch.setattr(indices, "EXACT", 500)
    monkeypatch.setattr(indices, "SAMPLE_SIZE", 200)
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 2_000)
    data = frame(rng.normal(size=(2_000, 2)) + 3 * np.eye(3, 2)[labels])
    exact = metrics.silhouette_score(data, labels)
    runs = [silhouette(data, labels, rng=seed) for seed in range(30)]
    means, errors = np.transpose(runs)
    assert (np.abs(means - exact) < 5 * errors).all() and abs(means.mean() - exact) < 3 * errors.mean()
    assert 0.5 < means.std(ddof=1) / errors.mean() < 2  # the error is as large as the means do differ
    assert silhouette(data, labels, rng=0) == runs[0] and silhouette(data[:500], labels[:500])[1] == 0


def test_a_silhouette_is_sampled_above_ten_thousand_users_only():
    labels = np.arange(10_001) % 2
    data = frame(labels[:, None] + np.random.default_rng(0).normal(size=(10_001, 1)))
    mean, error = silhouette(data, labels, rng=0)
    assert 0 < error < 0.01 < mean


def test_labels_that_do_not_fit_the_users_are_refused(users):
    data, labels = users
    with pytest.raises(SchemaError, match="3 of 300 users have no label, for instance 'u00000'"):
        quality(data, pd.Series(labels, index=data.index)[3:])
    with pytest.raises(SchemaError, match="299 labels for 300 users"):
        quality(data, labels[1:])
