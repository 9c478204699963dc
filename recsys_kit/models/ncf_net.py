"""The towers as a torch module, and the autograd way to train them (on a GPU, or to check the kernel by)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from recsys_kit.models import ncf_kernel
from recsys_kit.models.negatives import draw

CELLS = 4_000_000  # numbers of a layer held at once while all items are scored


class Towers(nn.Module):
    """logit of (u, i) = ``h . [p_u * q_i ; mlp(p'_u ; q'_i)] + b_u + b_i + c``.

    A row of ``user`` is ``[p ; p']``, of ``item`` ``[q ; q']``. factors: length of p and q, 0 without the GMF tower. layers: widths
    of the MLP tower, the first of them that of ``(p' ; q')``, () without it. Fresh vectors are normal with a spread of ``spread``,
    the products begin as a plain dot product.
    """

    def __init__(self, users: int, items: int, factors: int, layers: tuple[int, ...], *, seed: int = 0, spread: float = 0.01):
        super().__init__()
        self.factors, self.layers = factors, tuple(layers)
        width = factors + (layers[0] // 2 if layers else 0)
        self.user, self.item = nn.Embedding(users, width, sparse=True), nn.Embedding(items, width, sparse=True)
        self.user_bias, self.item_bias = nn.Embedding(users, 1, sparse=True), nn.Embedding(items, 1, sparse=True)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(layers))
        self.out = nn.Linear(factors + (layers[-1] if layers else 0), 1)
        rng = np.random.default_rng(seed)  # numpy's: torch's own generator is the same for everybody in the process
        with torch.no_grad():
            for table in (self.user, self.item):
                table.weight.copy_(torch.from_numpy(rng.normal(0, spread, table.weight.shape)))
            for table in (self.user_bias, self.item_bias):
                table.weight.zero_()
            for layer in self.hidden:  # Glorot and Bengio (2010)
                limit = np.sqrt(6 / sum(layer.weight.shape))
                layer.weight.copy_(torch.from_numpy(rng.uniform(-limit, limit, layer.weight.shape)))
                layer.bias.zero_()
            last = rng.uniform(-1, 1, layers[-1]) * np.sqrt(3 / layers[-1]) if layers else []
            self.out.weight.copy_(torch.from_numpy(np.append(np.ones(factors), last)))
            self.out.bias.zero_()

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Logits of the pairs (users[n], items[n])."""
        p, q = self.user(users), self.item(items)
        f = self.factors
        x = torch.cat([p[:, f:], q[:, f:]], dim=1)
        for layer in self.hidden:
            x = torch.relu(layer(x))
        joined = torch.cat([p[:, :f] * q[:, :f], x], dim=1) if self.layers else p * q
        return (self.out(joined) + self.user_bias(users) + self.item_bias(items)).squeeze(1)

    def all_items(self, users: torch.Tensor) -> torch.Tensor:
        """Logits of these users with every item, (n, items). The first layer is a sum, ``W p' + W' q'``: each part is made once."""
        f, q = self.factors, self.item.weight
        p = self.user(users)
        logits = (p[:, :f] * self.out.weight[0, :f]) @ q[:, :f].T + self.user_bias(users) + self.item_bias.weight.T + self.out.bias
        if self.layers:
            first, side = self.hidden[0], self.layers[0] // 2
            mine, its = p[:, f:] @ first.weight[:, :side].T, q[:, f:] @ first.weight[:, side:].T + first.bias
            block = max(1, CELLS // (len(q) * max(self.layers[1:])))
            for start in range(0, len(p), block):
                x = torch.relu(mine[start:start + block, None, :] + its)
                for layer in self.hidden[1:]:
                    x = torch.relu(layer(x))
                logits[start:start + block] += x @ self.out.weight[0, f:]
        return logits

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of all parameters by name."""
        return {name: value.detach().cpu().numpy().copy() for name, value in self.state_dict().items()}

    def take(self, arrays: dict[str, np.ndarray]) -> None:
        """The opposite of `arrays`."""
        self.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()})


class Autograd:
    """Plays epochs of `Towers` by autograd: the same batches, loss and optimiser as `ncf_kernel.Kernel`, on any device."""

    def __init__(self, net: Towers, touched, *, batch: int, rate: float, l2: float):
        self.net, self.touched, self.batch, self.l2 = net, touched, batch, l2
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        net.to(self.device)
        tables = [net.user.weight, net.item.weight, net.user_bias.weight, net.item_bias.weight]
        rest = [parameter for parameter in net.parameters() if all(parameter is not table for table in tables)]
        self.optimisers = [torch.optim.SparseAdam(tables, lr=rate), torch.optim.Adam(rest, lr=rate)]

    def play(self, users: np.ndarray, items: np.ndarray, uniform: np.ndarray) -> float:
        """Batches of positives, each followed by its negatives; the summed loss."""
        group, total = uniform.shape[1] + 1, 0.0
        drawn = draw(self.touched, users, uniform)
        pairs = np.stack([users.repeat(group), np.column_stack([items, drawn]).ravel()])
        label = np.tile(np.arange(group) == 0, len(users)).astype(np.float32)
        pairs, label = torch.from_numpy(pairs).to(self.device), torch.from_numpy(label).to(self.device)
        for start in range(0, pairs.shape[1], self.batch * group):
            (u, i), y = pairs[:, start:start + self.batch * group], label[start:start + self.batch * group]
            loss = functional.binary_cross_entropy_with_logits(self.net(u, i), y)
            length = (self.net.user(u) ** 2).sum() + (self.net.item(i) ** 2).sum()
            for optimiser in self.optimisers:
                optimiser.zero_grad()
            (loss + self.l2 / 2 * length / len(y)).backward()
            for optimiser in self.optimisers:
                optimiser.step()
            total += loss.item() * len(y)
        return total

    def to_net(self) -> None:
        """Nothing to do: the parameters are the net's own."""

    def state(self) -> dict:
        """What a later run needs to go on, besides the net."""
        return {str(place): {str(number): {name: np.asarray(value.cpu() if torch.is_tensor(value) else value, dtype=np.float32)
                                           for name, value in one.items()}
                             for number, one in optimiser.state_dict()["state"].items()}
                for place, optimiser in enumerate(self.optimisers)}

    def take(self, state: dict) -> None:
        """The opposite of `state`."""
        for place, optimiser in enumerate(self.optimisers):
            whole = optimiser.state_dict()
            whole["state"] = {int(number): {name: torch.from_numpy(np.array(value)) if name != "step" or place else int(value)
                                            for name, value in one.items()} for number, one in state[str(place)].items()}
            optimiser.load_state_dict(whole)


class Kernel:
    """Plays epochs of `Towers` on one core by `ncf_kernel.play`, in tables of its own; `to_net` writes them back."""

    def __init__(self, net: Towers, touched, *, batch: int, rate: float, l2: float):
        self.net, self.touched, self.batch, self.rate, self.l2 = net, touched, batch, rate, l2
        self.sizes = np.array(net.layers or (0,), dtype=np.int64)
        self.width = net.user.weight.shape[1]
        padded = -(-(self.width + 1) // ncf_kernel.PADDING) * ncf_kernel.PADDING
        self.tables = tuple(np.zeros((len(table.weight), padded), np.float32) for table in (net.user, net.item) for _ in range(4))
        for table, rows, bias in ((self.tables[0], net.user, net.user_bias), (self.tables[4], net.item, net.item_bias)):
            table[:, :self.width], table[:, self.width] = rows.weight.detach().numpy(), bias.weight.detach().numpy()[:, 0]
        self.dense = np.zeros((4, sum(part.numel() for part in self._parts())), np.float32)
        self.dense[0] = np.concatenate([part.detach().numpy().ravel() for part in self._parts()])
        self.step = np.zeros(1, np.int64)

    def _parts(self) -> list[torch.Tensor]:
        """The dense parameters in the order in which `play` reads them."""
        f = self.net.factors
        hidden = [part for layer in self.net.hidden for part in (layer.weight, layer.bias)]
        return [self.net.out.weight[0, :f], *hidden, self.net.out.weight[0, f:], self.net.out.bias]

    def play(self, users: np.ndarray, items: np.ndarray, uniform: np.ndarray) -> float:
        """Batches of positives, each followed by its negatives; the summed loss."""
        indptr, indices, n_items = self.touched
        return ncf_kernel.play(users, items, uniform, indptr, indices, n_items, self.net.factors, self.sizes, self.tables,
                               self.dense, self.step, self.batch, self.rate, self.l2)

    def to_net(self) -> None:
        """Write the values into the module."""
        with torch.no_grad():
            for table, rows, bias in ((self.tables[0], self.net.user, self.net.user_bias),
                                      (self.tables[4], self.net.item, self.net.item_bias)):
                rows.weight.copy_(torch.from_numpy(table[:, :self.width]))
                bias.weight.copy_(torch.from_numpy(table[:, self.width:self.width + 1]))
            place = 0
            for part in self._parts():
                part.copy_(torch.from_numpy(self.dense[0, place:place + part.numel()]).reshape(part.shape))
                place += part.numel()

    def state(self) -> dict:
        """What a later run needs to go on, besides the net."""
        names = ("mean", "square")
        return {"dense": self.dense[2:].copy(), "step": self.step.copy()} | {
            f"{side}_{name}": self.tables[place + number].copy()
            for side, place in (("user", 2), ("item", 6)) for number, name in enumerate(names)}

    def take(self, state: dict) -> None:
        """The opposite of `state`."""
        self.dense[2:], self.step[:] = state["dense"], state["step"]
        for side, place in (("user", 2), ("item", 6)):
            for number, name in enumerate(("mean", "square")):
                self.tables[place + number][:] = state[f"{side}_{name}"]
