"""Neural collaborative filtering: GMF, MLP and NeuMF (He et al. 2017), trained on touched pairs against drawn ones."""

from __future__ import annotations

import copy
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import threadpoolctl
import torch

from recsys_kit.data.interactions import EVERYTHING, Interactions, encode
from recsys_kit.data.sources import DataError
from recsys_kit.models import store
from recsys_kit.models.base import Ranker
from recsys_kit.models.ncf_net import Autograd, Kernel, Towers
from recsys_kit.models.negatives import lists
from recsys_kit.schema import validate_events

CHUNK = 2_000_000  # samples whose random numbers are held at once


class _NCF(Ranker):
    """What the three have in common. Subclasses name their ``factors`` and ``layers``, and where the towers begin.

    Minimises, over touched pairs (y = 1) and ``negatives`` untouched ones drawn anew for each in every epoch (y = 0), the mean of
    ``-y log s(z) - (1 - y) log(1 - s(z)) + l2/2 (||p_u||^2 + ||q_i||^2)``, s the logistic function, by Adam on batches of
    ``batch`` samples; only the rows of a batch move (`torch.optim.SparseAdam`). A drawn item is never one that the user touched.

    Where a GPU is present autograd trains there; else a kernel on one core does the same steps (``engine``: "auto", "kernel",
    "autograd"). The number of threads does not matter to the kernel. A user is a learned vector: whoever was not in the training
    has a row of NaN, and ``at`` changes only what counts as seen. Scores are logits.
    """

    factors, layers = 0, ()

    def __init__(self):
        for name in ("epochs", "negatives", "batch"):
            value = getattr(self, name)
            if not (value >= 1 and int(value) == value):
                raise ValueError(f"{name}={value!r}: give a whole number from 1 on")
        for name, least in (("learning_rate", 0), ("l2", -1)):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > least and value >= 0):
                raise ValueError(f"{name}={value!r}: a step is above zero, a penalty not below")
        if self.engine not in ("auto", "kernel", "autograd"):
            raise ValueError(f"engine={self.engine!r}: there are auto, kernel and autograd")

    def fit(self, events: pd.DataFrame, *, items: pd.DataFrame | None = None, users: pd.DataFrame | None = None,
            watch: Callable[[Self, int], bool | None] | None = None, checkpoint: str | Path | None = None,
            progress: bool = False) -> Self:
        """Learn from events.

        watch : called after every epoch with the model as it stands, which can be asked for lists, and the number of epochs done;
            the training ends where it gives True. With an inner split this is how the epoch is chosen.
        checkpoint : a file that is written after every epoch, whole at any moment. Where it is there already, the training goes on
            after its last epoch, and ends as if it had never been interrupted; a file of other events or settings (``epochs``
            may differ) raises `recsys_kit.DataError`. It is a saved model as well.
        progress : a line per epoch to stderr.
        An interrupt (Ctrl-C, the stop button) passes on as KeyboardInterrupt and leaves the model as after the last whole epoch.
        """
        self._run = (watch, None if checkpoint is None else Path(checkpoint), progress)
        self.__dict__.pop("net_", None)
        try:
            return super().fit(events, items=items, users=users)
        except KeyboardInterrupt:
            if self.__dict__.get("losses_") and "net_" in self.__dict__:
                self.seen_ = self._all_seen(events)
                print(f"{type(self).__name__}: interrupted; the model is that of epoch {len(self.losses_)}", file=sys.stderr)
            raise
        finally:
            del self._run

    def _all_seen(self, events: pd.DataFrame) -> Interactions:
        return Interactions.from_events(validate_events(events), items=self.items_, weights=EVERYTHING)

    def _fit(self, events: pd.DataFrame, items, users) -> None:
        known = Interactions.from_events(events, items=self.items_, weights=self.weights)
        matrix = known.matrix > 0
        active = np.flatnonzero(np.diff(matrix.indptr))
        self.users_, self.losses_ = known.users[active], []
        self._touched = lists(matrix[active].astype(np.float32))
        seed = int(np.random.default_rng().integers(2 ** 31)) if self.rng is None else self.rng
        state = self._resume() if self._run[1] and self._run[1].exists() else {"seed": seed, "stage": 0, "done": {}}
        state["events"] = state.get("events") or self._digest()
        ready = copy.copy(self) if self._run[0] or self._run[1] else None
        if ready is not None:
            ready.seen_ = self._all_seen(events)
        try:
            with threadpoolctl.threadpool_limits(1 if self._kernel() else None):
                self._train(state, ready)
        finally:
            del self._touched

    def _train(self, state: dict, ready: Self | None) -> None:
        stages = self._stages()
        for stage in range(state["stage"], len(stages)):
            name, factors, layers, epochs, rate = stages[stage]
            final, seed = stage == len(stages) - 1, [state["seed"], stage]
            net = Towers(max(len(self.users_), 1), len(self.items_), factors, layers, seed=seed)
            if "net" in state:
                net.take(state["net"])
            elif final and state["done"]:
                net.take(self._mixed(state["done"]))
            engine = self._engine(net, rate, state)
            losses = list(state.get("losses", []))
            if final:
                self.net_, self.losses_ = net, losses
            while len(losses) < epochs and not state.get("stopped"):
                good = net.arrays()
                try:
                    loss = self._epoch(engine, np.random.default_rng([*seed, 1 + len(losses)]))
                    if not np.isfinite(loss):
                        raise ValueError(f"{type(self).__name__}: the loss ran off in epoch {len(losses) + 1}; lower "
                                         f"learning_rate={self.learning_rate}")
                    engine.to_net()
                    losses.append(loss)
                except KeyboardInterrupt:
                    net.take(good)
                    raise
                if self._run[2]:
                    print(f"{type(self).__name__} {name} epoch {len(losses)}/{epochs}  loss {loss:.4f}", file=sys.stderr,
                          flush=True)
                if final and self._run[0]:
                    vars(ready).update(net_=net, losses_=losses)
                    state["stopped"] = bool(self._run[0](ready, len(losses)))
                if self._run[1]:
                    self._write(ready, net, state | {"stage": stage, "losses": losses, "engine": engine.state()})
            net.cpu()
            state = {"seed": state["seed"], "events": state["events"], "done": state["done"] | {name: net.arrays()}}

    def _epoch(self, engine, rng: np.random.Generator) -> float:
        """The mean loss of one pass over all touched pairs, in random order, each with its negatives."""
        indptr, items, n_items = self._touched
        degree = np.diff(indptr)
        users = np.repeat(np.arange(len(degree)), degree)
        order = np.flatnonzero(degree[users] < n_items)  # who touched everything has no negatives, and teaches nothing
        rng.shuffle(order)
        size = engine.batch * max(1, CHUNK // (engine.batch * (1 + self.negatives)))
        total = 0.0
        for start in range(0, len(order), size):
            part = order[start:start + size]
            total += engine.play(users[part], items[part], rng.random((len(part), self.negatives)))
        return total / max(len(order) * (1 + self.negatives), 1)

    def _stages(self) -> list[tuple[str, int, tuple, int, float]]:
        """What is trained in turn: name, factors, layers, epochs, learning rate."""
        return [("", self.factors, tuple(self.layers), self.epochs, self.learning_rate)]

    def _kernel(self) -> bool:
        return self.engine == "kernel" or (self.engine == "auto" and not torch.cuda.is_available())

    def _engine(self, net: Towers, rate: float, state: dict):
        engine = (Kernel if self._kernel() else Autograd)(net, self._touched, batch=max(1, self.batch // (1 + self.negatives)),
                                                          rate=rate, l2=self.l2)
        if "engine" in state:
            engine.take(state["engine"])
        return engine

    def _digest(self) -> str:
        """Of what is learned from: who touched what."""
        digest = hashlib.sha256("\n".join([*self.users_, "", *self.items_]).encode())
        for part in self._touched[:2]:
            digest.update(part.tobytes())
        return digest.hexdigest()

    def _write(self, ready: Self, net: Towers, state: dict) -> None:
        vars(ready).update(net_=net, losses_=state["losses"], training_={name: v for name, v in state.items() if name != "net"})
        ready.save(self._run[1])
        del ready.training_

    def _resume(self) -> dict:
        path = self._run[1]
        found = store.load(path)
        state = getattr(found, "training_", None)
        if type(found) is not type(self) or state is None:
            raise DataError(f"{path}: a saved {type(found).__name__}, no interrupted training of a {type(self).__name__}.\n"
                            f"To mend it: name another file, or remove this one to begin anew")
        mine, theirs = self.settings(), found.settings()
        other = [name for name in mine if name != "epochs" and json.dumps(mine[name]) != json.dumps(theirs[name])]
        if other or state["events"] != self._digest():
            raise DataError(f"{path}: the training of {'other events' if not other else 'a model with another ' + other[0]}.\n"
                            f"To mend it: name another file, or remove this one to begin anew")
        return state | {"net": found.net_.arrays()}

    def _kept(self) -> dict:
        kept = super()._kept()
        return kept | {"net_": {"factors": self.net_.factors, "layers": list(self.net_.layers), "arrays": self.net_.arrays()}}

    def _take(self, kept: dict) -> None:
        net = kept.pop("net_")
        super()._take(kept)
        arrays = net["arrays"]
        self.net_ = Towers(len(arrays["user.weight"]), len(arrays["item.weight"]), net["factors"], tuple(net["layers"]))
        self.net_.take(arrays)

    def _score(self, users: pd.Index, at: pd.Timestamp | None) -> np.ndarray:
        position = encode(users, self.users_)
        scores = np.full((len(users), len(self.items_)), np.nan, dtype=np.float32)
        known = position >= 0
        device = self.net_.out.bias.device
        with torch.no_grad():
            scores[known] = self.net_.all_items(torch.from_numpy(position[known]).to(device)).cpu().numpy()
        return scores


class GMF(_NCF):
    """Generalised matrix factorisation: ``logit = sum_f h_f p_uf q_if + b_u + b_i + c``, a dot product with a weight per factor.

    factors : length of the vectors. epochs, negatives, batch, learning_rate, l2 : passes over the touched pairs; untouched items
        drawn per touched one; samples a step; Adam's step; penalty. The loss is the mean over the samples of
        ``-y log s(z) - (1 - y) log(1 - s(z)) + l2/2 (||p_u||^2 + ||q_i||^2)``, z the logit, s the logistic function.
    weights : ``beta`` per behaviour; a pair whose sum is above zero was touched. None: any event but a return.
    rng : int, or None for another model every time. engine : "auto", "kernel" or "autograd".

    Learned: ``net_`` (`ncf_net.Towers`), ``users_``, ``losses_`` (mean loss per epoch, without the penalty). Raises ValueError for
    settings that cannot be meant. He et al. 2017, "Neural collaborative filtering".

    >>> events = pd.DataFrame({"user_id": list("aabbcc"), "item_id": list("xyxyzw"), "behaviour": "view",
    ...                        "timestamp": pd.Timestamp("2024-01-01")})
    >>> GMF(4, epochs=60, learning_rate=0.05).fit(events).recommend(["a"], 2, exclude_seen=False)["item_id"].tolist()
    ['x', 'y']
    """

    def __init__(self, factors: int = 16, *, epochs: int = 20, negatives: int = 4, batch: int = 1024, learning_rate: float = 0.003,
                 l2: float = 0.0, weights: Mapping[str, float] | None = None, rng: int | None = 0, engine: str = "auto"):
        self.factors, self.epochs, self.negatives, self.batch = factors, epochs, negatives, batch
        self.learning_rate, self.l2, self.weights, self.rng, self.engine = learning_rate, l2, weights, rng, engine
        _whole("factors", factors)
        super().__init__()


class MLP(_NCF):
    """A tower of layers in place of the dot product: ``logit = h . relu(W_L ... relu(W_1 (p_u ; q_i) + d_1) ...) + b_u + b_i + c``.

    layers : widths from the input on; the first is that of ``(p_u ; q_i)``, so the vectors are half as long. The rest as `GMF`.
    """

    def __init__(self, layers: tuple[int, ...] = (32, 16, 8), *, epochs: int = 20, negatives: int = 4, batch: int = 1024,
                 learning_rate: float = 0.003, l2: float = 0.0, weights: Mapping[str, float] | None = None, rng: int | None = 0,
                 engine: str = "auto"):
        self.layers, self.epochs, self.negatives, self.batch = tuple(layers), epochs, negatives, batch
        self.learning_rate, self.l2, self.weights, self.rng, self.engine = learning_rate, l2, weights, rng, engine
        _widths(layers)
        super().__init__()


class NeuMF(_NCF):
    """GMF and MLP side by side, each with vectors of its own: ``logit = h . (p_u * q_i ; mlp(p'_u ; q'_i)) + b_u + b_i + c``.

    factors, layers : of the two towers. pretrain : so many epochs GMF and MLP are trained alone first (0: not at all), or two
        numbers, one for each. Then their weights are taken over, the last ones as ``(alpha h_GMF ; (1 - alpha) h_MLP)``, biases
        likewise: the first logit is that mix of the two. fine_rate : learning rate after that; None: the same. The rest as `GMF`.
    """

    def __init__(self, factors: int = 16, layers: tuple[int, ...] = (32, 16, 8), *, pretrain: int | tuple[int, int] = 0,
                 alpha: float = 0.5, fine_rate: float | None = None, epochs: int = 20, negatives: int = 4, batch: int = 1024,
                 learning_rate: float = 0.003, l2: float = 0.0, weights: Mapping[str, float] | None = None, rng: int | None = 0,
                 engine: str = "auto"):
        self.factors, self.layers, self.alpha, self.fine_rate = factors, tuple(layers), alpha, fine_rate
        self.pretrain = pretrain if isinstance(pretrain, int) else tuple(pretrain)
        self.epochs, self.negatives, self.batch = epochs, negatives, batch
        self.learning_rate, self.l2, self.weights, self.rng, self.engine = learning_rate, l2, weights, rng, engine
        _whole("factors", factors)
        _widths(layers)
        first = self._first()
        if len(first) != 2 or min(first) < 0 or (min(first) == 0) != (max(first) == 0):
            raise ValueError(f"pretrain={pretrain!r}: give the epochs of GMF and of MLP, both above zero, or 0")
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha={alpha!r} is the share of GMF in the first mix, from 0 to 1")
        if fine_rate is not None and not fine_rate > 0:
            raise ValueError(f"fine_rate={fine_rate!r}: a step is above zero")
        super().__init__()

    def _first(self) -> tuple[int, int]:
        return (self.pretrain, self.pretrain) if isinstance(self.pretrain, int) else self.pretrain

    def _stages(self) -> list[tuple[str, int, tuple, int, float]]:
        gmf, mlp = self._first()
        before = [("GMF", self.factors, (), gmf, self.learning_rate), ("MLP", 0, self.layers, mlp, self.learning_rate)]
        rate = self.fine_rate if gmf and self.fine_rate else self.learning_rate
        return [*(before if gmf else []), ("", self.factors, self.layers, self.epochs, rate)]

    def _mixed(self, done: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return mix(done["GMF"], done["MLP"], self.alpha)


def mix(gmf: dict[str, np.ndarray], mlp: dict[str, np.ndarray], alpha: float) -> dict[str, np.ndarray]:
    """Parameters of a NeuMF whose logit is ``alpha`` times that of the GMF plus ``1 - alpha`` times that of the MLP."""
    shares = (alpha, 1 - alpha)
    joined = {name: np.concatenate([gmf[name], mlp[name]], axis=1) for name in ("user.weight", "item.weight")}
    last = [share * part["out.weight"] for share, part in zip(shares, (gmf, mlp), strict=True)]
    joined["out.weight"] = np.concatenate(last, axis=1)
    for name in ("user_bias.weight", "item_bias.weight", "out.bias"):
        joined[name] = alpha * gmf[name] + (1 - alpha) * mlp[name]
    return joined | {name: value for name, value in mlp.items() if name.startswith("hidden")}


def _whole(name: str, value) -> None:
    if not (value >= 1 and int(value) == value):
        raise ValueError(f"{name}={value!r}: give a whole number from 1 on")


def _widths(layers) -> None:
    if len(layers) < 2 or any(width < 1 or int(width) != width for width in layers) or layers[0] % 2:
        raise ValueError(f"layers={layers!r}: give two widths or more, the first even (a half is the user's, a half the item's), "
                         f"such as (32, 16, 8)")
