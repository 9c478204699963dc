"""Seconds per epoch of NeuMF against two plain torch loops, same settings: ``python benchmarks/bench_ncf.py``, some 2 minutes.

Nothing is asserted. MovieLens 1M in the files of He et al. (994,169 pairs, four negatives each); 64 factors, layers 64-32-16-8, one
thread. *By the book* is the loop found in most tutorials: negatives by trial from a dictionary of pairs, a Dataset of Python lists,
a DataLoader, Adam over all rows. *Vectorised* does the same with arrays: negatives drawn at once, batches by slicing, Adam over
all rows; it is what a careful user would write. Both are timed on ``BATCHES`` batches and scaled to an epoch; the kit does whole
ones. Their mean loss over those batches stands beside the kit's over its first epoch. Needs RECSYS_KIT_DATA.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from recsys_kit.data.interactions import Interactions
from recsys_kit.data.published import published
from recsys_kit.models.ncf import NeuMF
from recsys_kit.models.ncf_net import Towers

FACTORS, LAYERS, NEGATIVES, RATE, BATCHES = 64, (64, 32, 16, 8), 4, 0.001, 40


class Pairs(Dataset):
    """Touched pairs and negatives by trial, a Python list each."""

    def __init__(self, users, items, known, n_items):
        self.rows = []
        for u, i in zip(users, items, strict=True):
            self.rows.append((u, i, 1.0))
            for _ in range(NEGATIVES):
                j = np.random.randint(n_items)
                while (u, j) in known:
                    j = np.random.randint(n_items)
                self.rows.append((u, j, 0.0))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, n):
        return self.rows[n]


def by_the_book(users, items, shape, batch):
    known = dict.fromkeys(zip(users.tolist(), items.tolist(), strict=True))
    some = np.random.permutation(len(users))[:BATCHES * batch // (1 + NEGATIVES)]
    began = time.process_time()
    data = Pairs(users[some].tolist(), items[some].tolist(), known, shape[1])
    loss = steps(shape, DataLoader(data, batch_size=batch, shuffle=True))
    return (time.process_time() - began) * len(users) / len(some), loss


def vectorised(users, items, shape, batch):
    code = np.sort(users * shape[1] + items)
    some = np.random.permutation(len(users))[:BATCHES * batch // (1 + NEGATIVES)]
    began = time.process_time()
    of = np.repeat(users[some], NEGATIVES)
    drawn = np.random.randint(shape[1], size=len(of))
    while True:
        place = np.searchsorted(code, of * shape[1] + drawn)
        wrong = code[np.minimum(place, len(code) - 1)] == of * shape[1] + drawn
        if not wrong.any():
            break
        drawn[wrong] = np.random.randint(shape[1], size=wrong.sum())
    order = np.random.permutation(len(some) + len(of))
    u, i = np.concatenate([users[some], of])[order], np.concatenate([items[some], drawn])[order]
    y = np.concatenate([np.ones(len(some)), np.zeros(len(of))])[order]
    blocks = [[torch.from_numpy(part[start:start + batch]) for part in (u, i, y)] for start in range(0, len(u), batch)]
    loss = steps(shape, blocks)
    return (time.process_time() - began) * len(users) / len(some), loss


def steps(shape, batches) -> float:
    """Plain Adam over all parameters; the mean loss."""
    net = Towers(*shape, FACTORS, LAYERS, seed=0)
    for table in (net.user, net.item, net.user_bias, net.item_bias):
        table.sparse = False
    adam, criterion, total, count = torch.optim.Adam(net.parameters(), RATE), torch.nn.BCEWithLogitsLoss(), 0.0, 0
    for u, i, y in batches:
        adam.zero_grad()
        loss = criterion(net(u, i), y.float())
        loss.backward()
        adam.step()
        total, count = total + loss.item(), count + 1
    return total / count


def of_the_kit(train, batch) -> tuple[float, float]:
    times, losses = [], []
    NeuMF(FACTORS, LAYERS, epochs=1, batch=batch, learning_rate=RATE, engine="kernel").fit(train.head(1000))  # compiles
    began = [time.process_time()]

    def look(model, epoch):
        now = time.process_time()
        times.append(now - began[0])
        losses.append(model.losses_[-1])
        began[0] = now

    NeuMF(FACTORS, LAYERS, epochs=3, batch=batch, learning_rate=RATE, engine="kernel").fit(train, watch=look)
    return float(np.median(times[1:])), losses[0]


def main() -> None:
    if "RECSYS_KIT_DATA" not in os.environ:
        print("no real data: set RECSYS_KIT_DATA to the folder that holds it")
        return
    torch.set_num_threads(1)
    np.random.seed(0)
    train = published("ncf-ml1m").train
    matrix = Interactions.from_events(train).matrix.tocoo()
    users, items = matrix.row.astype(np.int64), matrix.col.astype(np.int64)
    for batch in [int(size) for size in sys.argv[1:]] or [1024, 8192]:
        found = {"by the book": by_the_book(users, items, matrix.shape, batch),
                 "vectorised": vectorised(users, items, matrix.shape, batch), "kit": of_the_kit(train, batch)}
        print(f"\nNeuMF, {len(users):,} pairs, batches of {batch:,}: CPU seconds per epoch on one thread")
        for name, (seconds, loss) in found.items():
            print(f"{name:12s}{seconds:8.1f} s   {seconds / found['kit'][0]:5.1f} times the kit's   "
                  f"mean loss of {'the first epoch' if name == 'kit' else f'{BATCHES} batches'} {loss:.3f}")


if __name__ == "__main__":
    main()
