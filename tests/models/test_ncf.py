"""GMF, MLP and NeuMF: the kernel against autograd, pre-training, learning, and training that can be interrupted."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch

from recsys_kit import models
from recsys_kit.data.sources import DataError
from recsys_kit.models.ncf import GMF, MLP, NeuMF, mix
from recsys_kit.models.ncf_net import Autograd, Kernel, Towers
from recsys_kit.models.negatives import draw, lists
from recsys_kit.models.popularity import Popularity
from recsys_kit.schema import SchemaError
from tests.models.conformance import RankerConformance, history

SMALL = dict(epochs=2, batch=64, learning_rate=0.01)


class TestGMF(RankerConformance):
    def make(self):
        return GMF(4, **SMALL)


class TestMLP(RankerConformance):
    def make(self):
        return MLP((8, 4), **SMALL)


class TestNeuMF(RankerConformance):
    def make(self):
        return NeuMF(4, (8, 4), pretrain=(1, 2), **SMALL)


class TestNeuMFByAutograd(RankerConformance):
    def make(self):
        return NeuMF(4, (8, 4), engine="autograd", **SMALL)


def blocks(rng=0, users=60, items=40, per_user=12):
    """Two kinds of users, each of whom touches the items of one half: what a model has to find out."""
    rng = np.random.default_rng(rng)
    pairs = [(user, item + items // 2 * (user % 2)) for user in range(users) for item in rng.permutation(items // 2)[:per_user]]
    return pd.DataFrame({"user_id": [f"u{u:02}" for u, _ in pairs], "item_id": [f"i{i:02}" for _, i in pairs], "behaviour": "view",
                         "timestamp": pd.Timestamp("2024-01-01")})


def net_and_lists(factors, layers, users=12, items=30):
    from scipy import sparse
    dense = np.random.default_rng(5).random((users, items)) < 0.3
    net = Towers(users, items, factors, layers, seed=1, spread=0.5)
    with torch.no_grad():  # nothing at zero, so that nothing can be forgotten unseen
        for number, parameter in enumerate(net.parameters()):
            noise = np.random.default_rng(number).normal(0, 0.3, parameter.shape)
            parameter.add_(torch.from_numpy(noise.astype(np.float32)))
    return net, lists(sparse.csr_array(dense)), *np.nonzero(dense)


@pytest.mark.parametrize("factors, layers", [(5, ()), (0, (8, 6)), (40, (64, 32, 16, 8))])
def test_the_kernel_has_the_gradient_of_autograd(factors, layers):
    net, touched, users, items = net_and_lists(factors, layers)
    uniform = np.random.default_rng(0).random((len(users), 3))
    kernel = Kernel(net, touched, batch=1000, rate=0.01, l2=0.3)
    loss = kernel.play(users, items, uniform)
    mean = kernel.state()  # after one step Adam's mean is a tenth of the gradient

    drawn = np.column_stack([items, draw(touched, users, uniform)]).ravel()
    u, i = torch.from_numpy(users.repeat(4)), torch.from_numpy(drawn)
    label = torch.tensor([1.0, 0, 0, 0]).repeat(len(users))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(net(u, i), label)
    length = (net.user(u) ** 2).sum(1) + (net.item(i) ** 2).sum(1)
    (expected + 0.15 * length.mean()).backward()
    assert loss / len(label) == pytest.approx(expected.item(), rel=1e-5)
    width = factors + (layers[0] // 2 if layers else 0)
    for side, table, bias in (("user", net.user, net.user_bias), ("item", net.item, net.item_bias)):
        gradient = np.hstack([table.weight.grad.to_dense().numpy(), bias.weight.grad.to_dense().numpy()])
        assert np.allclose(10 * mean[f"{side}_mean"][:, :width + 1], gradient, atol=1e-6) and np.abs(gradient).max() > 1e-3
    gradient = np.concatenate([part.numpy().ravel() for part in [
        net.out.weight.grad[0, :factors], *(p.grad for layer in net.hidden for p in (layer.weight, layer.bias)),
        net.out.weight.grad[0, factors:], net.out.bias.grad]])
    assert np.allclose(10 * mean["dense"][0], gradient, atol=1e-6) and np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("factors, layers", [(5, ()), (3, (8, 6, 5))])
def test_the_kernel_steps_where_autograd_steps(factors, layers):
    ends = []
    for engine in (Kernel, Autograd):
        net, touched, users, items = net_and_lists(factors, layers)
        before = net.arrays()
        one = engine(net, touched, batch=40, rate=0.02, l2=0.1)
        uniform = np.random.default_rng(0).random((len(users), 3))
        loss = sum(one.play(users[part], items[part], uniform[part]) for part in (slice(0, 40), slice(40, None)))
        one.to_net()
        ends.append((loss, net.cpu().arrays()))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-4)
    for name, value in ends[1][1].items():
        assert np.abs(value - before[name]).max() > 0.02, name  # every parameter has moved, and both ways to the same place
        # a step is rate * mean / root of the square: where a gradient is zero but for rounding, it may go either way
        assert (np.abs(ends[0][1][name] - value) < 1e-3).mean() > 0.94, name


def test_the_kernel_plays_more_samples_than_a_block_as_one_batch():
    results = []
    for engine in (Kernel, Autograd):
        net, touched, users, items = net_and_lists(4, (8, 4), users=40, items=60)
        assert len(users) > 512
        one = engine(net, touched, batch=10_000, rate=0.05, l2=0.1)
        loss = one.play(users, items, np.random.default_rng(0).random((len(users), 2)))
        one.to_net()
        results.append((loss, net.cpu().arrays()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for name, value in results[1][1].items():
        assert (np.abs(results[0][1][name] - value) < 1e-3).mean() > 0.99, name


def test_a_row_that_no_sample_touched_stays_where_it_is():
    net, touched, users, items = net_and_lists(4, (8, 4))
    before = net.arrays()
    one = Kernel(net, touched, batch=5, rate=0.1, l2=0.1)
    mine = users == 3
    one.play(users[mine], items[mine], np.random.default_rng(0).random((mine.sum(), 1)))
    one.to_net()
    moved = (net.arrays()["user.weight"] != before["user.weight"]).any(axis=1)
    assert moved.nonzero()[0].tolist() == [3]


def test_scores_of_all_items_are_those_of_the_pairs():
    for factors, layers in [(5, ()), (0, (8, 6)), (3, (8, 6, 5))]:
        net = net_and_lists(factors, layers)[0]
        users = torch.tensor([4, 0, 7])
        with torch.no_grad():
            every = net.all_items(users)
            pairs = net(users.repeat_interleave(30), torch.arange(30).repeat(3)).reshape(3, 30)
        assert torch.allclose(every, pairs, atol=1e-5) and pairs.std() > 0.1


def test_a_mix_has_the_mixed_logits():
    gmf, mlp = net_and_lists(5, ())[0], net_and_lists(0, (8, 6))[0]
    both = Towers(12, 30, 5, (8, 6))
    both.take(mix(gmf.arrays(), mlp.arrays(), 0.3))
    users = torch.arange(12)
    with torch.no_grad():
        assert torch.allclose(both.all_items(users), 0.3 * gmf.all_items(users) + 0.7 * mlp.all_items(users), atol=1e-5)


LEARN = dict(learning_rate=0.01, batch=256, l2=0.01)


@pytest.mark.parametrize("model", [GMF(4, epochs=30, **LEARN), MLP((16, 8), epochs=40, **LEARN),
                                   NeuMF(4, (16, 8), epochs=5, pretrain=(30, 30), **LEARN)], ids=lambda model: type(model).__name__)
def test_it_learns_which_half_a_user_likes_from_other_users(model):
    events = blocks(users=150, per_user=5)
    scores = model.fit(events).score(model.users_)
    own_half = (np.arange(40) >= 20) == (model.users_.str[1:].astype(int).to_numpy()[:, None] % 2 == 1)
    untouched = np.ones_like(own_half)
    untouched[np.searchsorted(model.users_, events["user_id"]), np.searchsorted(model.items_, events["item_id"])] = False
    own, other = scores.mean(axis=1, where=own_half & untouched), scores.mean(axis=1, where=~own_half)
    assert (own > other + 0.5).mean() > 0.95
    assert model.losses_[-1] < 0.5


def test_pre_training_begins_where_the_two_towers_ended():
    settings = dict(learning_rate=0.02, batch=64)
    gmf, mlp = GMF(4, epochs=5, rng=0, **settings), MLP((8, 4), epochs=5, rng=0, **settings)
    plain = NeuMF(4, (8, 4), epochs=1, rng=0, **settings).fit(blocks())
    warm = NeuMF(4, (8, 4), epochs=1, pretrain=5, fine_rate=1e-6, rng=0, **settings).fit(blocks())
    assert warm.losses_[0] < plain.losses_[0] - 0.1
    mixed = gmf.fit(blocks()).score(["u01"])[0] + mlp.fit(blocks()).score(["u01"])[0]
    assert np.corrcoef(warm.score(["u01"])[0], mixed)[0, 1] > 0.9 > np.corrcoef(plain.score(["u01"])[0], mixed)[0, 1]


def test_after_the_pre_training_the_fine_rate_is_the_length_of_the_steps():
    first = dict(factors=4, layers=(8, 4), pretrain=3, learning_rate=0.02, batch=64)
    short, long = ([NeuMF(**first, fine_rate=rate, epochs=epochs).fit(blocks()).score(["u01"]) for epochs in (1, 4)]
                   for rate in (1e-8, None))
    assert np.allclose(*short, atol=1e-3) and not np.allclose(*long, atol=0.05)


def test_fresh_towers_have_short_vectors_no_biases_and_a_plain_dot_product():
    arrays = Towers(400, 300, 8, (16, 4)).arrays()
    for name in ("user.weight", "item.weight"):
        assert arrays[name].std() == pytest.approx(0.01, rel=0.1) and abs(arrays[name].mean()) < 0.001
    assert not any(arrays[name].any() for name in ("user_bias.weight", "item_bias.weight", "out.bias", "hidden.0.bias"))
    assert (arrays["out.weight"][0, :8] == 1).all()


def test_every_epoch_has_an_order_and_negatives_of_its_own(monkeypatch):
    played = []

    def play(self, users, items, uniform, play=Kernel.play):
        played.append((users, uniform))
        return play(self, users, items, uniform)
    monkeypatch.setattr(Kernel, "play", play)
    GMF(4, **SMALL, engine="kernel").fit(history())
    (first, one), (second, two) = played
    assert not np.array_equal(one, two) and not np.array_equal(first, second) and np.array_equal(np.sort(first), np.sort(second))


def test_more_penalty_makes_shorter_vectors():
    length = [np.linalg.norm(GMF(4, epochs=10, learning_rate=0.02, batch=64, l2=l2).fit(blocks()).net_.arrays()["item.weight"])
              for l2 in (0.0, 0.3)]
    assert length[1] < 0.7 * length[0]


def test_the_number_of_threads_changes_nothing():
    scores = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            scores.append(NeuMF(4, (16, 8), epochs=2, batch=128).fit(history()).net_.arrays())
    finally:
        torch.set_num_threads(before)
    assert all(np.array_equal(scores[0][name], scores[1][name]) for name in scores[0])


def test_without_a_seed_no_two_fits_are_equal():
    one, two = (GMF(4, rng=None, **SMALL).fit(history()).score(["u01"]) for _ in range(2))
    assert not np.array_equal(one, two)


def test_only_the_behaviours_that_weigh_are_learned_from():
    bought = history().query("behaviour == 'purchase'")
    model = GMF(4, weights={"purchase": 1.0}, **SMALL).fit(history())
    assert model.users_.tolist() == sorted(bought["user_id"].unique())
    returned = pd.concat([history(), history().head(1).assign(user_id="back", behaviour="return")])
    assert "back" not in GMF(4, weights={"view": 1, "purchase": 1, "return": -1}, **SMALL).fit(returned).users_
    nothing = GMF(4, weights={"rate": 1.0}, **SMALL).fit(history())
    assert np.isnan(nothing.score(["u01"])).all() and nothing.recommend(["u01"], 3).empty


def test_who_touched_everything_is_left_out_of_the_training_and_breaks_nothing():
    table = blocks(users=6, items=6, per_user=3)
    everything = table.drop_duplicates("item_id").assign(user_id="all")
    model = NeuMF(4, (8, 4), **SMALL).fit(pd.concat([table, everything]))
    assert np.isfinite(model.score(["all", "u01"])).all()


def test_a_training_that_runs_off_says_so():
    with pytest.raises(ValueError, match="lower learning_rate"):
        GMF(4, epochs=30, learning_rate=1e30, batch=16).fit(history())


@pytest.mark.parametrize("wrong", [dict(epochs=0), dict(negatives=0), dict(batch=2.5), dict(learning_rate=0), dict(l2=-1),
                                   dict(layers=(7, 4)), dict(layers=(8,)), dict(factors=0), dict(alpha=2), dict(pretrain=(3, 0)),
                                   dict(fine_rate=0), dict(engine="gpu"), dict(learning_rate=float("nan"))], ids=str)
def test_settings_that_cannot_be_meant_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        NeuMF(**wrong)


class TestWatching:
    def test_it_is_called_after_every_epoch_with_a_model_that_ranks_and_can_stop_the_training(self):
        seen = []

        def watch(model, epoch):
            seen.append((epoch, model.recommend(["u01"], 3)["item_id"].tolist()))
            return epoch == 3
        model = GMF(4, epochs=9, batch=64, learning_rate=0.05).fit(history(), watch=watch)
        assert [epoch for epoch, _ in seen] == [1, 2, 3] and len(model.losses_) == 3
        assert seen[-1][1] == model.recommend(["u01"], 3)["item_id"].tolist()

    def test_looking_changes_nothing(self):
        plain, watched = (NeuMF(4, (8, 4), **SMALL).fit(history(), watch=watch) for watch in (None, lambda model, epoch: None))
        assert np.array_equal(plain.score(["u01"]), watched.score(["u01"]))

    def test_progress_is_a_line_per_epoch_on_stderr_and_off_by_default(self, capsys):
        GMF(4, **SMALL).fit(history())
        assert capsys.readouterr() == ("", "")
        GMF(4, **SMALL).fit(history(), progress=True)
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 2 and "epoch 2/2" in err


def interrupted(after, kind=KeyboardInterrupt):
    def watch(model, epoch):
        if epoch == after:
            raise kind
    return watch


MAKE = dict(factors=4, layers=(8, 4), epochs=6, pretrain=2, batch=64, learning_rate=0.02)


class TestInterrupted:
    @pytest.mark.parametrize("engine", ["kernel", "autograd"])
    def test_going_on_from_a_checkpoint_ends_as_if_nothing_had_happened(self, tmp_path, engine):
        whole = NeuMF(**MAKE, engine=engine).fit(history())
        file = tmp_path / "training.npz"
        with pytest.raises(RuntimeError):
            NeuMF(**MAKE, engine=engine).fit(history(), checkpoint=file, watch=interrupted(4, RuntimeError))
        epochs = []
        model = NeuMF(**MAKE, engine=engine).fit(history(), checkpoint=file, watch=lambda model, epoch: epochs.append(epoch))
        assert epochs == [4, 5, 6]  # the fourth was not yet written
        assert np.array_equal(model.score(["u01", "u02"]), whole.score(["u01", "u02"])) and model.losses_ == whole.losses_

    def test_so_does_one_that_stopped_while_a_tower_was_trained_alone(self, tmp_path, monkeypatch):
        whole = NeuMF(**MAKE).fit(history())
        file, write, written = tmp_path / "training.npz", NeuMF._write, []

        def stop_after_three(self, ready, net, state):
            write(self, ready, net, state)
            written.append(state["stage"])
            if len(written) == 3:
                raise RuntimeError("out of power")
        monkeypatch.setattr(NeuMF, "_write", stop_after_three)
        with pytest.raises(RuntimeError, match="out of power"):
            NeuMF(**MAKE).fit(history(), checkpoint=file)
        assert written == [0, 0, 1]  # GMF is done, MLP half-way
        again = NeuMF(**MAKE).fit(history(), checkpoint=file)
        assert written == [0, 0, 1, 1, 2, 2, 2, 2, 2, 2]
        assert np.array_equal(again.score(["u01"]), whole.score(["u01"]))

    def test_more_epochs_may_be_asked_for_later(self, tmp_path):
        file = tmp_path / "training.npz"
        NeuMF(**MAKE | {"epochs": 1}).fit(history(), checkpoint=file)
        longer = NeuMF(**MAKE).fit(history(), checkpoint=file)
        assert np.array_equal(longer.score(["u01"]), NeuMF(**MAKE).fit(history()).score(["u01"]))

    def test_a_keyboard_interrupt_passes_on_and_leaves_the_last_whole_epoch(self, capsys):
        model = GMF(4, epochs=9, batch=64, learning_rate=0.05)
        with pytest.raises(KeyboardInterrupt):
            model.fit(history(), watch=interrupted(3))
        assert "that of epoch 3" in capsys.readouterr().err
        three = GMF(4, epochs=3, batch=64, learning_rate=0.05).fit(history())
        assert np.array_equal(model.score(["u01"]), three.score(["u01"])) and model.recommend(["u01"], 3).shape == (3, 4)

    def test_one_in_the_middle_of_an_epoch_leaves_the_epoch_before(self, monkeypatch):
        calls = []

        def play(self, users, items, uniform, play=Autograd.play):
            calls.append(1)
            result = play(self, users, items, uniform)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return result
        monkeypatch.setattr(Autograd, "play", play)
        settings = dict(batch=64, learning_rate=0.05, engine="autograd")
        model = GMF(4, epochs=9, **settings)
        with pytest.raises(KeyboardInterrupt):
            model.fit(history())
        assert np.array_equal(model.score(["u01"]), GMF(4, epochs=2, **settings).fit(history()).score(["u01"]))

    def test_one_before_the_first_epoch_leaves_no_model_that_looks_fitted(self, monkeypatch):
        monkeypatch.setattr(Kernel, "play", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        model = GMF(4, **SMALL)
        with pytest.raises(KeyboardInterrupt):
            model.fit(history())
        with pytest.raises(models.store.NotFittedError):
            model.recommend(["u01"], 3)

    def test_a_training_that_was_stopped_by_its_watcher_stays_stopped(self, tmp_path):
        file = tmp_path / "training.npz"
        first = GMF(4, **SMALL | {"epochs": 5}).fit(history(), checkpoint=file, watch=lambda model, epoch: epoch == 2)
        again = GMF(4, **SMALL | {"epochs": 5}).fit(history(), checkpoint=file)
        assert len(again.losses_) == 2 and np.array_equal(again.score(["u01"]), first.score(["u01"]))

    def test_a_checkpoint_of_other_events_or_settings_is_refused(self, tmp_path):
        file = tmp_path / "training.npz"
        GMF(4, **SMALL).fit(history(), checkpoint=file)
        with pytest.raises(DataError, match="other events"):
            GMF(4, **SMALL).fit(history(rng=1), checkpoint=file)
        with pytest.raises(DataError, match="another l2"):
            GMF(4, l2=0.1, **SMALL).fit(history(), checkpoint=file)
        Popularity().fit(history()).save(file)
        with pytest.raises(DataError, match="no interrupted training"):
            GMF(4, **SMALL).fit(history(), checkpoint=file)
        file.write_bytes(b"PK")
        with pytest.raises(DataError, match="no model"):
            GMF(4, **SMALL).fit(history(), checkpoint=file)

    def test_a_killed_process_loses_no_more_than_the_epoch_it_was_in(self, tmp_path):
        file = tmp_path / "training.npz"
        code = ("import sys\nfrom tests.models.conformance import history\nfrom recsys_kit.models.ncf import GMF\n"
                "GMF(4, epochs=10**6, batch=64, learning_rate=0.01).fit(history(), checkpoint=sys.argv[1])")
        process = subprocess.Popen([sys.executable, "-c", code, str(file)],
                                   env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
        try:
            limit = time.monotonic() + 120
            while not file.exists() and process.poll() is None and time.monotonic() < limit:
                time.sleep(0.05)
            time.sleep(0.1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        done = len(models.load(file).losses_)  # whole, whenever it was killed
        assert done >= 1
        settings = dict(factors=4, batch=64, learning_rate=0.01, epochs=done + 3)
        model = GMF(**settings).fit(history(), checkpoint=file)
        assert len(model.losses_) == done + 3
        assert np.array_equal(model.score(["u01"]), GMF(**settings).fit(history()).score(["u01"]))


def test_a_saved_pretrained_model_keeps_its_settings(tmp_path):
    model = models.load(NeuMF(4, (8, 4), pretrain=(1, 1), **SMALL).fit(history()).save(tmp_path / "model"))
    assert model.pretrain == (1, 1) and model.layers == (8, 4) and not hasattr(model, "training_")


def test_an_empty_log_is_refused():
    with pytest.raises(SchemaError):
        NeuMF().fit(history().head(0))
