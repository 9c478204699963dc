"""Whoever takes labels takes the same ones, and says the same of those it cannot take."""

import numpy as np
import pandas as pd
import pytest

from recsys_kit.schema import SchemaError
from recsys_kit.strata import contrasts, describe, kmeans, quality, random_like, separation
from recsys_kit.strata.labels import as_labels, labels_of, numbered

USERS = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), index=[f"u{n:02d}" for n in range(60)], columns=list("xyz"))
LABELS = pd.Series(np.arange(60) % 3, index=USERS.index, name="stratum")
TAKERS = {
    "quality": lambda labels: quality(USERS, labels), "separation": lambda labels: separation(labels, USERS, permutations=9, rng=0),
    "contrasts": lambda labels: contrasts(labels, USERS), "describe": lambda labels: describe(labels, USERS),
    "random_like": lambda labels: random_like(labels, 0),
}


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize(("labels", "words"), [
    (kmeans(USERS, 2, rng=0), "pass strata.labels"),
    (LABELS.astype(float).mask(LABELS.index == "u07"), "1 of 60 labels are missing, for instance that of user 'u07'"),
    (LABELS.map(str).mask(LABELS.index == "u07"), "1 of 60 labels are missing"),
    (pd.concat([LABELS, LABELS[5:7]]), "2 labels belong to users that already have one, for instance 'u05'"),
    (LABELS[:0], "there are no labels"),
])
def test_everyone_refuses_the_same_labels(name, labels, words):
    with pytest.raises(SchemaError, match=f"(?s){name}.*{words}"):
        TAKERS[name](labels)


@pytest.mark.parametrize("name", ["separation", "contrasts", "describe", "random_like"])
def test_only_quality_takes_labels_without_ids(name):
    with pytest.raises(SchemaError, match=f"{name} takes labels by user id, not a ndarray.\nTo mend it: pass strata.labels"):
        TAKERS[name](LABELS.to_numpy())
    assert quality(USERS, LABELS.tolist()).equals(quality(USERS, LABELS))


def plain(found):
    return vars(found) | {"null": found.null.tolist()} if hasattr(found, "null") else found.to_dict()


@pytest.mark.parametrize("name", TAKERS)
def test_every_negative_number_is_noise_to_everyone(name):
    one = LABELS.replace(2, -1)
    many = LABELS.where(LABELS != 2, -2 - np.arange(60))
    np.testing.assert_equal(plain(TAKERS[name](many)), plain(TAKERS[name](one)))


@pytest.mark.parametrize("name", ["quality", "separation"])
@pytest.mark.parametrize("told", [
    LABELS.map({0: "a", 1: "b", 2: "c"}), LABELS.map({0: "a", 1: "b", 2: "c"}).astype("category"), LABELS.astype("Int64"),
    LABELS.astype(float)])
def test_what_strata_are_called_is_nothing_to_the_numbers(name, told):
    np.testing.assert_equal(plain(TAKERS[name](told)), plain(TAKERS[name](LABELS)))


def test_strata_called_by_words_keep_them_and_may_stand_beside_noise():
    told = LABELS.astype(object).replace({0: "new", 1: "old", 2: -1})
    assert contrasts(told, USERS).index.tolist() == ["new", "old"] and describe(told, USERS).index.tolist() == ["new", "old", -1]
    codes, strata = numbered(as_labels(told, "it"))
    assert codes[:4].tolist() == [0, 1, -1, 0] and strata.tolist() == ["new", "old"]
    assert numbered(as_labels(LABELS * 0 - 1, "it"))[1].tolist() == []


def test_labels_are_put_in_the_order_of_the_users_asked_for():
    some = USERS.index[[9, 4]]
    assert labels_of(some, LABELS, "it").tolist() == [0, 1] and labels_of(some, [5, -3], "it").tolist() == [5, -1]
    with pytest.raises(SchemaError, match="1 of 2 users have no label, for instance 'w'"):
        labels_of(pd.Index(["u01", "w"]), LABELS, "it")
