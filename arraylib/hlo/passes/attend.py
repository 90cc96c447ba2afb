"""Write attention that is spelled out, softmax(q k^T) v, as the operation that does it in one pass.

    l = select(mask, multiply(dot_general(q, k), scale), -1e30)
    p = exponential(l - max(l)); dot_general(p / sum(p), v)    ->    attention(q, k, v, mask)

The matrix of all shares is then never in memory, neither here nor in derivatives taken afterwards.
Sums are taken in another order, in float32 or wider. What is left alone: matrices that are wanted
elsewhere too, or small; masks by -inf of which it is not known that every row sees something (such
rows are nan); before a derivative is taken, a bias that may have one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import reduce

from arraylib import dtypes as dt
from arraylib.hlo.ir import Graph, Node, Value
from arraylib.hlo.opdef import OpDef
from arraylib.hlo.ops import elementwise as ew
from arraylib.hlo.ops.attention import MOST_MASKS, UNLIMITED, attention, wide_dtype
from arraylib.hlo.ops.control import stop_gradient
from arraylib.hlo.ops.reduction import dot_general, reduce_maximum
from arraylib.hlo.ops.structured import broadcast_in_dim, reduce_add, reshape, transpose
from arraylib.hlo.passes.bands import Axes, Band, Defined, axes_before, band, number, source
from arraylib.hlo.passes.dce import dce
from arraylib.hlo.passes.rewrite import Rewriter, rewrite
from arraylib.record import field, record

SMALLEST = 64 * 64  # logits of one head, of which a matrix is made rather
_HIDDEN = -1e9  # a logit that is no more than this has no share


def attend(graph: Graph, differentiable: bool = False) -> Graph:
    """`graph` with the attention in it as `attention`.

    If it is to be differentiable, a bias must not depend on inputs: its cotangent is the matrix.
    """
    products = [node.op for node in graph.nodes].count(dot_general)
    if products < 2 or not any(node.op is ew.exponential for node in graph.nodes):
        return graph
    uses = Counter(v for node in graph.nodes for v in node.inputs) + Counter(graph.outputs)
    variable = _variable(graph) if differentiable else set()

    def rule(node: Node, rewriter: Rewriter) -> Sequence[Value] | None:
        if node.op is not dot_general:
            return None
        found = _Reader(rewriter.defined, uses).attention(node)
        if found is None or found.bias and found.bias[0] in variable:
            return None
        return (found.emitted(node),)

    found = rewrite(graph, rule)
    return graph if found is graph else dce(found)


def _variable(graph: Graph) -> set[Value]:
    """The values with a derivative in some input."""
    found = {v for v in graph.inputs if dt.is_inexact(v.type.dtype)}
    for node in graph.nodes:
        if node.op is not stop_gradient and not found.isdisjoint(node.inputs):
            found.update(v for v in node.outputs if dt.is_inexact(v.type.dtype))
    return found


@record(frozen=False)
class _Logits:
    """What logits are made of. Axes are those of the matrices of logits, the frame."""

    masks: list[tuple[Value, Axes]] = field(default_factory=list)
    lowest: list[float] = field(default_factory=list)  # what masks put there
    bias: tuple[Value, Axes] | None = None
    scale: float = 1.0


@record(frozen=False)
class _Attention:
    """What two products with a softmax between are; axes of size 1 are left out of all of it."""

    operands: tuple[tuple[Value, tuple[int, ...]], ...]  # with axes (batch..., length, size)
    out: tuple[int, ...]  # for each axis of the result, that of (batch..., length, size)
    batch: tuple[int, ...]  # sizes
    frame: dict[int, int]  # for axes of logits, that of (batch..., t, s)
    window: Band
    masks: list[tuple[Value, Axes]]
    bias: tuple[Value, Axes] | None
    scale: float

    def emitted(self, node: Node) -> Value:
        """The operations that take the place of the second product."""
        q, k, v = (_four_axes(x, axes) for x, axes in self.operands)
        more = [] if self.bias is None else [self._bias(wide_dtype(q.type))]
        more += self._masks()
        low, high = self.window.low, self.window.high
        ends = UNLIMITED if low is None else -low, UNLIMITED if high is None else high
        out = attention(q, k, v, *more, scale=self.scale, window=ends,
                        bias=self.bias is not None)[0]
        _, t, _, d = out.type.shape
        places = _places(len(self.batch))
        shape = [0] * (len(self.batch) + 2)
        for axis, n in zip(places, (*self.batch, t, d)):
            shape[axis] = n
        out = reshape(out, shape=tuple(shape))
        out = transpose(out, permutation=tuple(places[a] for a in self.out))
        result: Value = reshape(out, shape=node.outputs[0].type.shape)
        return result

    def _masks(self) -> list[Value]:
        found = [self._spread(*mask) for mask in self.masks]
        if len(found) > MOST_MASKS:
            rest = [broadcast_in_dim(x, shape=self._shape(found), broadcast_dimensions=(0, 1, 2, 3))
                    for x in found[MOST_MASKS - 1:]]
            found[MOST_MASKS - 1:] = [reduce(ew.and_, rest)]
        return found

    def _shape(self, masks: Sequence[Value]) -> tuple[int, ...]:
        return tuple(max(sizes) for sizes in zip(*(x.type.shape for x in masks)))

    def _bias(self, dtype: object) -> Value:
        assert self.bias is not None
        x = self._spread(*self.bias)
        return x if x.type.dtype == dtype else ew.convert(x, dtype=dtype)

    def _spread(self, x: Value, axes: Axes) -> Value:
        """A mask or a bias as [b, n, t, s], in which axes may be of size 1."""
        four = (0, 2, 3) if len(self.batch) == 1 else range(2 - len(self.batch), 4)
        known = sorted((four[self.frame[a]], i) for i, (a, n) in enumerate(zip(axes, x.type.shape))
                       if n != 1 and a is not None)
        shape = [1, 1, 1, 1]
        for at, i in known:
            shape[at] = x.type.shape[i]
        return _arranged(x, [i for _, i in known], shape)


def _arranged(x: Value, axes: Sequence[int], shape: Sequence[int]) -> Value:
    """`x` with its axes in this order, those of size 1 left out, as an array of `shape`."""
    units = [i for i in range(x.type.rank) if i not in axes]
    x = transpose(x, permutation=(*units, *axes))
    result: Value = reshape(x, shape=tuple(shape))
    return result


def _places(batches: int) -> tuple[int, ...]:
    """Where (batch..., length, size) are in (batch but the last..., length, last batch, size)."""
    if batches < 2:
        return tuple(range(batches + 2))
    return (*range(batches - 1), batches, batches - 1, batches + 1)


def _four_axes(x: Value, axes: tuple[int, ...]) -> Value:
    """[b, length, n, size], of which b is all axes of the batch but the last, if there are two."""
    sizes = [x.type.shape[a] for a in axes]
    *batch, length, size = sizes
    heads = batch.pop() if len(batch) > 1 else 1
    order = [0] * len(axes)
    for axis, at in zip(axes, _places(len(axes) - 2)):
        order[at] = axis
    return _arranged(x, order, (math.prod(batch), length, heads, size))


@record(frozen=False)
class _Reader:
    """Reads backwards from the product with the values."""

    defined: Defined
    uses: Counter[Value]

    def node(self, value: Value, op: OpDef, uses: int | None = None) -> Node | None:
        """The node that defines a value, if it is this operation, and so many use the value."""
        node = self.defined.get(value)
        return node if node and node.op is op and uses in (None, self.uses[value]) else None

    def attention(self, product: Node) -> _Attention | None:
        """What the product of shares and values computes, if that is attention."""
        for side in (0, 1):
            if (found := self._attention(product, side)) is not None:
                return found
        return None

    def _attention(self, product: Node, side: int) -> _Attention | None:
        shares, axes = self.laid_out(product.inputs[side])
        found = self.softmax(shares) if shares is not None else None
        if found is None:
            return None
        value, column = found
        read = self.logits(value)
        if read is None:
            return None
        scores, frame, logits = read
        return _joined(product, side, axes, scores, frame, column, logits, self.defined)

    def laid_out(self, operand: Value) -> tuple[Value | None, Axes]:
        """The shares that only the product uses, and where in them the operand's axes are."""
        value, axes = operand, self.identity(operand)
        while self.uses[value] == 1 and (node := self.defined.get(value)):
            if node.op is ew.divide:
                where = {a: i for i, a in enumerate(axes)}
                return value, tuple(where.get(i) for i in range(operand.type.rank))
            before = axes if node.op is ew.convert else axes_before(node, axes)
            if before is None:
                break
            value, axes = node.inputs[0], before
        return None, ()

    @staticmethod
    def identity(value: Value) -> Axes:
        return tuple(range(value.type.rank))

    def softmax(self, shares: Value) -> tuple[Value, int] | None:
        """(logits, axis) that the shares are of."""
        divided = self.node(shares, ew.divide, 1)
        powers = divided and self.node(divided.inputs[0], ew.exponential, 2)
        if not divided or not powers:
            return None
        axis = self.reduced(divided.inputs[1], reduce_add, divided.inputs[0])
        less = self.node(powers.inputs[0], ew.subtract, 1)
        if less is None or axis is None or self.uses[less.inputs[0]] != 2:
            return None
        same = self.reduced(less.inputs[1], reduce_maximum, less.inputs[0]) == axis
        return (less.inputs[0], axis) if same else None

    def reduced(self, rows: Value, op: OpDef, of: Value) -> int | None:
        """The one axis of `of` that was reduced by `op` and then repeated, if rows is that."""
        axes = self.identity(of)
        while node := self.defined.get(rows):
            if node.op is op:
                return self._reduced_axis(node, axes, of)
            before = axes_before(node, axes)
            if before is None and not self._keeps_rows(node, op):
                break
            axes = axes if before is None else before
            rows = node.inputs[0]
        return None

    def _keeps_rows(self, node: Node, op: OpDef) -> bool:
        """Whether the first operand, in one number a row that was reduced, is all that counts.

        What is subtracted from a row is no matter to derivatives, but by what it is divided.
        """
        if node.op is ew.maximum:
            return number(node.inputs[1], self.defined) == -math.inf
        return node.op is ew.convert or node.op is stop_gradient and op is reduce_maximum

    def _reduced_axis(self, node: Node, axes: Axes, of: Value) -> int | None:
        (operand,), dimensions = node.inputs, node.attrs["dimensions"]
        while operand is not of and (wider := self.node(operand, ew.convert)):
            operand = wider.inputs[0]
        if operand is not of or len(dimensions) != 1:
            return None
        rest = [d for d in range(of.type.rank) if d not in dimensions]
        fits = all(n == 1 or a == d for n, a, d in zip(node.outputs[0].type.shape, axes, rest))
        return dimensions[0] if fits else None

    def logits(self, value: Value) -> tuple[Node, Axes, _Logits] | None:
        """The product that logits are made of, where its axes lie, and what was done to it."""
        found, axes = _Logits(), self.identity(value)
        once = 2  # the softmax uses its operand twice
        while (node := self.defined.get(value)) and self.uses[value] == once:
            if node.op is dot_general:
                return node, axes, found
            step = self._step(node, axes, found)
            if step is None:
                return None
            value, axes, once = *step, 1
        return None

    def _step(self, node: Node, axes: Axes, found: _Logits) -> tuple[Value, Axes] | None:
        """What the node did something to, which goes to `found`."""
        if node.op is ew.convert:
            return node.inputs[0], axes
        if (before := axes_before(node, axes)) is not None:
            return node.inputs[0], before
        if node.op is ew.select and found.bias is None and found.scale == 1:
            return self._masked(node, axes, found)
        if node.op is ew.add and found.bias is None and found.scale == 1:
            return self._biased(node, axes, found)
        return self._scaled(node, axes, found)

    def _masked(self, node: Node, axes: Axes, found: _Logits) -> tuple[Value, Axes] | None:
        mask, x, y = node.inputs
        lowest = number(y, self.defined)
        if lowest is None:
            x, lowest, mask = y, number(x, self.defined), ew.not_(mask)
        if lowest is None or not lowest <= _HIDDEN:
            return None
        found.lowest.append(lowest)
        found.masks.append(source(mask, axes, self.defined))
        return x, axes

    def _biased(self, node: Node, axes: Axes, found: _Logits) -> tuple[Value, Axes] | None:
        for x, bias in (node.inputs, node.inputs[::-1]):
            if self._is_product(x):
                self._add(source(bias, axes, self.defined), found)
                return x, axes
        return None

    def _add(self, bias: tuple[Value, Axes], found: _Logits) -> None:
        """A bias, which is a mask if it is 0 or lowest; such a row of which all is masked is not
        like any other, as with -inf."""
        node = self.node(bias[0], ew.select)
        known = [number(v, self.defined) for v in node.inputs[1:]] if node else []
        if node and known[0] == 0 and known[1] is not None and known[1] <= _HIDDEN:
            found.masks.append(source(node.inputs[0], bias[1], self.defined))
            found.lowest.append(-math.inf)
        else:
            found.bias = bias

    def _is_product(self, value: Value) -> bool:
        """Whether a value is a product, scaled or laid out."""
        while (node := self.defined.get(value)) and self.uses[value] == 1:
            if node.op is dot_general:
                return True
            if node.op not in (ew.multiply, ew.divide, ew.convert, transpose, reshape):
                return False
            value = next((v for v in node.inputs if number(v, self.defined) is None), value)
        return False

    def _scaled(self, node: Node, axes: Axes, found: _Logits) -> tuple[Value, Axes] | None:
        if node.op not in (ew.multiply, ew.divide):
            return None
        x, y = node.inputs
        by = number(y, self.defined)
        if by is None and node.op is ew.multiply:
            x, by = y, number(x, self.defined)
        if not by or not math.isfinite(by):
            return None
        found.scale *= by if node.op is ew.multiply else 1 / by
        return x, axes


# -- the two products ------------------------------------------------------------------------------


@record
class _Side:
    """One operand of a product of matrices: its axes by what they are, without those of size 1."""

    value: Value
    batch: tuple[int, ...]
    contracted: int
    free: int


@record
class _Product:
    """The operands of a product, and where its own axes are: (batch...), free ones."""

    sides: tuple[_Side, _Side]
    batch: tuple[int, ...]
    free: tuple[int, int]


def _matrices(node: Node) -> _Product | None:
    """The product, if each operand has one axis that is contracted and one that is free."""
    sides, frees, attrs = [], [], node.attrs
    at = len(attrs["lhs_batching"])
    for value, side in zip(node.inputs, ("lhs", "rhs")):
        shape, batch = value.type.shape, attrs[f"{side}_batching"]
        contracted = [d for d in attrs[f"{side}_contracting"] if shape[d] != 1]
        rest = [d for d in range(len(shape))
                if d not in batch and d not in attrs[f"{side}_contracting"]]
        free = [d for d in rest if shape[d] != 1]
        if len(contracted) != 1 or len(free) != 1:
            return None
        sides.append(_Side(value, tuple(d for d in batch if shape[d] != 1), contracted[0], free[0]))
        frees.append(at + rest.index(free[0]))
        at += len(rest)
    sizes = node.outputs[0].type.shape[:len(attrs["lhs_batching"])]
    batch = tuple(i for i, n in enumerate(sizes) if n != 1)
    return _Product((sides[0], sides[1]), batch, (frees[0], frees[1]))


def _joined(product: Node, side: int, axes: Axes, scores: Node, frame: Axes, column: int,
            logits: _Logits, defined: Defined) -> _Attention | None:
    """Attention from the two products, if what one contracts is what the other leaves free.

    `axes` are those of the product's operand, `frame` those of the scores, in the logits' frame.
    """
    first, second = _matrices(scores), _matrices(product)
    if first is None or second is None:
        return None
    frees = [frame[a] for a in first.free]
    query, key = first.sides if frees[1] == column else first.sides[::-1]
    row = frees[0] if frees[1] == column else frees[1]
    shares, values = second.sides[::-1] if side else second.sides
    if column not in frees or axes[shares.contracted] != column or axes[shares.free] != row \
            or row is None:
        return None
    batch = [frame[a] for a in first.batch]
    order = [[axes[a] for a in shares.batch].index(b) for b in batch]
    operands = ((query.value, (*query.batch, query.free, query.contracted)),
                (key.value, (*key.batch, key.free, key.contracted)),
                (values.value, (*(values.batch[i] for i in order), values.contracted, values.free)))
    count = len(batch)
    out = (*(order.index(i) for i in range(count)),
           *((count + 1, count) if side else (count, count + 1)))
    places = {a: i for i, a in enumerate((*batch, row, column)) if a is not None}
    sizes = tuple(query.value.type.shape[a] for a in query.batch)
    found = _Attention(operands, out, sizes, places, Band(None, None), logits.masks, logits.bias,
                       logits.scale)
    windowed = _windowed(found, logits, row, column, defined)
    return windowed if windowed and _worth(windowed, product) else None


def _worth(found: _Attention, product: Node) -> bool:
    """Whether the operation can do this, and there is enough of it."""
    types = [x.type for x, _ in found.operands]
    t, s = (types[i].shape[found.operands[i][1][-2]] for i in (0, 1))
    extra = found.masks or found.bias
    return (t * s >= SMALLEST and all(x.size for x in types) and len({x.dtype for x in types}) == 1
            and dt.kind(types[0].dtype) == "f" and types[0].dtype == product.outputs[0].type.dtype
            and not (extra and len(found.batch) > 2))


def _windowed(found: _Attention, logits: _Logits, row: int, column: int,
              defined: Defined) -> _Attention | None:
    """The same with its one mask as a window, if it is one; None if a row might see nothing."""
    bands = [band(mask, axes, row, column, defined) for mask, axes in logits.masks]
    whole = reduce(Band.__and__, (b for b in bands if b is not None), Band(None, None))
    types = [x.type for x, _ in found.operands]
    t, s = (types[i].shape[found.operands[i][1][-2]] for i in (0, 1))
    if None not in bands and _sees(whole, t, s):
        found.window, found.masks = whole, []
        return found
    return found if min(logits.lowest, default=0) > -math.inf else None


def _sees(window: Band, t: int, s: int) -> bool:
    """Whether each of t rows sees at least one of s columns."""
    low, high = -t if window.low is None else window.low, s if window.high is None else window.high
    return low <= high and high >= 0 and low + t - 1 <= s - 1
