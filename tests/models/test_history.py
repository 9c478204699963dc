"""Whoever scores by history scores any history: of the training, of today, or one that fades."""

import numpy as np
import pytest
from scipy import sparse

from recsys_kit.models import EASE, IALS, PureSVD, RP3beta
from recsys_kit.models.store import NotFittedError
from tests.models.conformance import history

MODELS = [EASE(20), IALS(4, epochs=2), PureSVD(4), RP3beta()]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_rows_of_the_training_have_the_scores_of_their_users(model):
    model.fit(history())
    users = model.history_.users
    assert np.allclose(model.score_histories(model.history_.matrix > 0), model.score(users), equal_nan=True)


def test_an_entry_of_a_half_counts_half_and_what_is_not_above_zero_nothing():
    model = EASE(20).fit(history())
    row = np.zeros((3, len(model.items_)))
    row[0, 2], row[1, 2], row[2, 2], row[2, 3] = 1, 0.5, 1, -1
    one, half, other = model.score_histories(sparse.csr_array(row))
    assert np.allclose(half, one / 2) and np.array_equal(other, one) and one.any()


def test_an_empty_history_has_nothing_to_say_and_an_unfitted_model_says_so():
    model = EASE(20).fit(history())
    assert np.isnan(model.score_histories(sparse.csr_array((1, len(model.items_))))).all()
    with pytest.raises(NotFittedError):
        EASE(20).score_histories(sparse.csr_array((1, 3)))
