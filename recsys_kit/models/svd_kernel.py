"""The inner loop of SVD and SVD++: stochastic gradient descent, one user after the other, with whole vectors in registers.

A *row* is a vector of factors that the processor holds in registers, as a tuple of *lanes* of 64 bytes (8 numbers of float64,
16 of float32). `load`, `store`, `mix` and `dot` are the four things the loop does with rows. They are written out for the number of
lanes at compile time: about twice as fast as loops over arrays, whose bounds and overlaps are looked at for every rating.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

LANE = 64  # bytes
FAST = ("fast",)  # sums may be added in any order: without it, nothing runs side by side
AHEAD = 4  # so many ratings before its turn, an item's vector is called into the cache


def rows(count: int, width: int, dtype: str) -> np.ndarray:
    """Zeros (count, width rounded up to whole lanes) that start at a multiple of 64 bytes, as `load` and `store` want them."""
    size = np.dtype(dtype).itemsize
    wide = -(-width * size // LANE) * LANE
    memory = np.zeros(count * wide + LANE, dtype=np.uint8)
    start = -memory.ctypes.data % LANE
    return memory[start:start + count * wide].view(dtype).reshape(count, wide // size)


def lanes(array: np.ndarray) -> tuple[int, ...]:
    """As many zeros as a row of the array has lanes: numba knows the length of a tuple when it compiles."""
    return (0,) * (array.shape[1] * array.itemsize // LANE)


class Lane(types.Type):
    """64 bytes of numbers of one type in one register."""

    def __init__(self, scalar):
        self.scalar = scalar
        super().__init__(name=f"Lane({scalar})")


@register_model(Lane)
class _LaneModel(models.PrimitiveModel):
    def __init__(self, manager, lane):
        number = ir.FloatType() if lane.scalar == types.float32 else ir.DoubleType()
        super().__init__(manager, lane, ir.VectorType(number, 8 * LANE // lane.scalar.bitwidth))


def _places(context, builder, kind, array, index, lane, count):
    """Pointers to the lanes of row ``index``."""
    parts = context.make_array(kind)(context, builder, array)
    width = cgutils.unpack_tuple(builder, parts.shape)[1]
    first = builder.bitcast(builder.gep(parts.data, [builder.mul(index, width)]), lane.as_pointer())
    return [builder.gep(first, [ir.Constant(ir.IntType(64), k)]) for k in range(count)]


def _apart(builder, row):
    return [builder.extract_value(row, k) for k in range(row.type.count)]


def _together(builder, parts, kind):
    row = ir.Constant(kind, ir.Undefined)
    for k, part in enumerate(parts):
        row = builder.insert_value(row, part, k)
    return row


def _everywhere(builder, number, lane):
    """The number in every place of a lane."""
    empty = ir.Constant(lane, ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), lane.count), [0] * lane.count))


@intrinsic
def load(_, array, index, lanes):
    """Row ``index`` of the array."""
    lane = Lane(array.dtype)
    row = types.UniTuple(lane, lanes.count)

    def make(context, builder, signature, args):
        places = _places(context, builder, array, args[0], args[1], context.get_value_type(lane), lanes.count)
        parts = [builder.load(place) for place in places]
        for part in parts:
            part.align = LANE
        return _together(builder, parts, context.get_value_type(row))
    return row(array, types.int64, lanes), make


@intrinsic
def store(_, array, index, row):
    """Put the row into the array."""
    def make(context, builder, signature, args):
        parts = _apart(builder, args[2])
        for part, place in zip(parts, _places(context, builder, array, args[0], args[1], parts[0].type, row.count), strict=True):
            builder.store(part, place, align=LANE)
        return context.get_dummy_value()
    return types.none(array, types.int64, row), make


@intrinsic
def fetch(_, array, index, lanes):
    """Call row ``index`` into the cache, and do not wait for it."""
    def make(context, builder, signature, args):
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        call = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        lane = context.get_value_type(Lane(array.dtype))
        for place in _places(context, builder, array, args[0], args[1], lane, lanes.count):
            builder.call(call, [builder.bitcast(place, byte), flag(1), flag(3), flag(1)])
        return context.get_dummy_value()
    return types.none(array, types.int64, lanes), make


@intrinsic
def mix(_, a, x, c, y):
    """The row ``a x + c y``."""
    def make(context, builder, signature, args):
        a, x, c, y = args
        lane = x.type.element
        a, c = _everywhere(builder, a, lane), _everywhere(builder, c, lane)
        parts = [builder.fadd(builder.fmul(a, mine, flags=FAST), builder.fmul(c, theirs, flags=FAST), flags=FAST)
                 for mine, theirs in zip(_apart(builder, x), _apart(builder, y), strict=True)]
        return _together(builder, parts, x.type)
    return x(x.dtype.scalar, x, x.dtype.scalar, x), make


@intrinsic
def dot(_, x, y):
    """The number ``x . y``, summed in three strands that do not wait for each other."""
    def make(context, builder, signature, args):
        products = [builder.fmul(mine, theirs, flags=FAST)
                    for mine, theirs in zip(_apart(builder, args[0]), _apart(builder, args[1]), strict=True)]
        while len(products) > 1:
            first, rest = products[:3], products[3:]
            if rest:
                products = [*first[1:], builder.fadd(first[0], rest[0], flags=FAST), *rest[1:]]
            else:
                products = [builder.fadd(first[0], first[1], flags=FAST), *first[2:]]
        lane, number = products[0].type, products[0].type.element
        name = f"llvm.vector.reduce.fadd.v{lane.count}f{32 if isinstance(number, ir.FloatType) else 64}"
        call = cgutils.get_or_insert_function(builder.module, ir.FunctionType(number, [number, lane]), name)
        return builder.call(call, [ir.Constant(number, 0.0), products[0]], fastmath=FAST)
    return x.dtype.scalar(x, x), make


@njit(fastmath=True, error_model="numpy", cache=True)
def _total(y, items, first, end, width):
    """The sum of the rows of one user's items."""
    one = y.dtype.type(1)
    total = load(y, items[first], width)
    for n in range(first + 1, end):
        total = mix(one, total, one, load(y, items[n], width))
    return total


@njit(fastmath=True, error_model="numpy", cache=True)
def _user(first, end, items, ratings, x, b, q, bi, mean, lr, lr_bias, l2, strength, width):
    """One user's ratings in turn: ``x <- a x + strength c q_i``, ``q_i <- a q_i + c x``, ``a = 1 - lr l2``, ``c = lr error``.

    The product of the next rating is had from the vectors before the step, ``x_new . z = a x . z + strength c y . z``, so that it
    does not wait for them.
    """
    a = q.dtype.type(1) - lr * l2
    last = len(items) - 1
    product = dot(x, load(q, items[first], width))
    for n in range(first, end):
        item = items[n]
        fetch(q, items[min(n + AHEAD, last)], width)
        y = load(q, item, width)
        error = ratings[n] - (mean + b + bi[item] + product)
        b += lr_bias * (error - l2 * b)
        bi[item] += lr_bias * (error - l2 * bi[item])
        c = lr * error
        if n + 1 < end and items[n + 1] != item:
            z = load(q, items[n + 1], width)
            product = a * dot(x, z) + strength * c * dot(y, z)
            store(q, item, mix(a, y, c, x))
            x = mix(a, x, strength * c, y)
        else:
            store(q, item, mix(a, y, c, x))
            x = mix(a, x, strength * c, y)
            if n + 1 < end:
                product = dot(x, load(q, item, width))
    return x, b


@njit(fastmath=True, error_model="numpy", cache=True)
def svd_epoch(starts, items, ratings, p, q, bu, bi, mean, lr, lr_bias, l2, width):
    """One pass of SVD over all ratings, user by user; p, q, bu and bi are learned in place."""
    for user in range(len(starts) - 1):
        x, bu[user] = _user(starts[user], starts[user + 1], items, ratings, load(p, user, width), bu[user], q, bi, mean,
                            lr, lr_bias, l2, p.dtype.type(1), width)
        store(p, user, x)


@njit(fastmath=True, error_model="numpy", cache=True)
def svdpp_epoch(starts, items, ratings, repeats, p, q, y, bu, bi, mean, lr, l2, width):
    """One pass of SVD++ over all ratings; p, q, y, bu and bi are learned in place. `svd.SVDpp` has the algebra.

    repeats : (users,) bool, the user rated some item more than once, whose y then takes every step more than once.
    """
    one = p.dtype.type(1)
    a = one - lr * l2
    for user in range(len(starts) - 1):
        first, end = starts[user], starts[user + 1]
        root = np.sqrt(p.dtype.type(end - first))
        # Without repeats a user's ratings are learned in one go; with them, one by one.
        size = 1 if repeats[user] else end - first
        shrink = a ** p.dtype.type(size)
        for place in range(first, end, size):
            before = load(p, user, width)
            start = mix(one, before, one / root, _total(y, items, first, end, width))
            x, bu[user] = _user(place, place + size, items, ratings, start, bu[user], q, bi, mean, lr, lr, l2, one + one, width)
            step = mix(one / (one + one), x, -shrink / (one + one), start)  # what p gains, and sqrt(n) times what every y does
            store(p, user, mix(shrink, before, one, step))
            for n in range(first, end):
                store(y, items[n], mix(shrink, load(y, items[n], width), one / root, step))
