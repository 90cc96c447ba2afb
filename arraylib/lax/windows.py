"""Windows that slide over arrays: convolutions, and the fold of each window by a computation."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, ShapeError, mistake
from arraylib.hlo.ir import type_of
from arraylib.hlo.ops.convolution import convolution
from arraylib.hlo.ops.shape import reverse
from arraylib.hlo.ops.structured import transpose
from arraylib.hlo.ops.window import dilated, reduce_window as reduce_window_op
from arraylib.lax.regions import region, scalars, with_initials
from arraylib.numpy.promotion import Array, ArrayLike, operand as owned, shape_of

Ints = Sequence[int]
Padding = str | Sequence[tuple[int, int]]

# -- padding ---------------------------------------------------------------------------------------


def padtype_to_pads(in_shape: Ints, window_shape: Ints, window_strides: Ints,
                    padding: str) -> list[tuple[int, int]]:
    """The pairs (low, high) that "SAME", "SAME_LOWER" or "VALID" mean, one for each axis.

    VALID pads nothing. SAME pads to as many windows as there are strides in an axis; of an odd
    number of elements the last goes behind, with SAME_LOWER in front.

    >>> lax.padtype_to_pads((8,), (3,), (2,), "SAME")
    [(0, 1)]
    """
    return _pads("padtype_to_pads", in_shape, window_shape, window_strides, padding)


def _pads(op: str, sizes: Ints, window: Ints, strides: Ints, padding: str) -> list[tuple[int, int]]:
    kind = padding.upper()
    if kind not in ("SAME", "SAME_LOWER", "VALID"):
        raise mistake(ArgumentError, op, f"padding = {padding!r}",
                      hint="'SAME', 'SAME_LOWER', 'VALID' or a pair (low, high) for each axis")
    if kind == "VALID":
        return [(0, 0)] * len(sizes)
    totals = [max(0, (-(-n // step) - 1) * step + reach - n)
              for n, reach, step in zip(sizes, window, strides, strict=True)]
    lower = kind == "SAME_LOWER"
    return [((total + lower) // 2, (total + (not lower)) // 2) for total in totals]


def _pairs(op: str, padding: Any, rank: int, what: str) -> tuple[tuple[int, int], ...]:
    """Padding that is given as numbers: a pair for each axis."""
    try:
        pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)
    except (TypeError, ValueError):
        raise mistake(ArgumentError, op, f"padding = {padding!r}",
                      hint="a pair (low, high) of integers for each axis, or 'SAME'") from None
    if len(pairs) != rank:
        raise mistake(ShapeError, op, f"padding has {len(pairs)} pairs for {rank} {what}",
                      hint="one pair (low, high) for each")
    return pairs


def _each(op: str, name: str, values: Ints | None, rank: int, what: str) -> tuple[int, ...]:
    """A positive number for each axis; ones for None."""
    if values is None:
        return (1,) * rank
    try:
        numbers = tuple(operator.index(n) for n in values)
    except TypeError:
        raise mistake(ArgumentError, op, f"{name} = {values!r}",
                      hint=f"an integer for each of the {rank} {what}") from None
    if len(numbers) != rank:
        raise mistake(ShapeError, op, f"{name} has {len(numbers)} numbers for {rank} {what}",
                      hint="one number for each")
    if min(numbers, default=1) < 1:
        raise mistake(ShapeError, op, f"{name} = {numbers} must be positive",
                      hint="1 or more for each axis")
    return numbers


# -- which axis is which ---------------------------------------------------------------------------


class ConvDimensionNumbers(NamedTuple):
    """The axes (batch, feature, *spatial) of lhs and of the result, (out, in, *spatial) of rhs.

    >>> lax.conv_dimension_numbers((1, 8, 8, 3), (3, 3, 3, 16), ("NHWC", "HWIO", "NHWC")).lhs_spec
    (0, 3, 1, 2)
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


def conv_dimension_numbers(lhs_shape: Ints, rhs_shape: Ints,
                           dimension_numbers: Any) -> ConvDimensionNumbers:
    """Dimension numbers as axes: of three strings such as ("NHWC", "HWIO", "NHWC"), or None.

    N is the batch, C the features, O and I those of the kernel; other letters are spatial axes.
    None is NCHW, OIHW, NCHW for any number of spatial axes.

    >>> lax.conv_dimension_numbers((1, 3, 8), (16, 3, 5), None).out_spec
    (0, 1, 2)
    """
    return _numbers("conv_dimension_numbers", len(lhs_shape), len(rhs_shape), dimension_numbers)


def _numbers(op: str, rank: int, kernel_rank: int, given: Any) -> ConvDimensionNumbers:
    if rank != kernel_rank or rank < 2:
        raise mistake(ShapeError, op, f"lhs has {rank} axes and rhs {kernel_rank}",
                      hint="both have as many: two for batch and features (rhs: output and input "
                           "features), one for each axis that the windows move along")
    if given is None:
        return ConvDimensionNumbers(*[tuple(range(rank))] * 3)
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise mistake(ArgumentError, op, f"dimension_numbers = {given!r}",
                      hint="three strings such as ('NHWC', 'HWIO', 'NHWC'), or None for NCHW")
    if isinstance(given, ConvDimensionNumbers):
        return _checked(op, rank, given)
    return _from_letters(op, rank, given)


def _checked(op: str, rank: int, given: ConvDimensionNumbers) -> ConvDimensionNumbers:
    for name, axes in zip(given._fields, given):
        if sorted(axes) != list(range(rank)):
            raise mistake(ShapeError, op, f"{name} = {axes} does not name each of {rank} axes once",
                          hint="each of the axes once")
    return ConvDimensionNumbers(*(tuple(int(d) for d in axes) for axes in given))


def _from_letters(op: str, rank: int, given: Sequence[str]) -> ConvDimensionNumbers:
    """The axes that letters name; the spatial ones in the order of the kernel."""
    for i, letters in enumerate(given):
        first, second = "OI" if i == 1 else "NC"
        if not isinstance(letters, str) or len(letters) != rank or len(set(letters)) != rank \
                or first not in letters or second not in letters:
            raise mistake(ArgumentError, op, f"dimension_numbers[{i}] is {letters!r} for {rank} "
                          "axes", hint=f"a letter for each axis, all different, {first} and "
                                       f"{second} among them")
    spatial = [c for c in given[1] if c not in "OI"]
    for i in (0, 2):
        if set(given[i]) != {*spatial, "N", "C"}:
            raise mistake(ArgumentError, op, f"the spatial axes of {given[i]!r} are not those of "
                          f"{given[1]!r}", hint=f"name {', '.join(spatial)} in both")
    lead = ("N", "C"), ("O", "I"), ("N", "C")
    return ConvDimensionNumbers(*(tuple(letters.index(c) for c in (*pair, *spatial))
                                  for letters, pair in zip(given, lead)))


# -- convolution -----------------------------------------------------------------------------------


def conv_general_dilated(
        lhs: ArrayLike, rhs: ArrayLike, window_strides: Ints, padding: Padding,
        lhs_dilation: Ints | None = None, rhs_dilation: Ints | None = None,
        dimension_numbers: Any = None, feature_group_count: int = 1, batch_group_count: int = 1,
        precision: Any = None, preferred_element_type: Any = None) -> Array:
    """The sums of products of the kernel `rhs` with each window of `lhs`, over its features.

    Args:
        lhs, rhs: arrays of one dtype. window_strides: how far each window is from the next.
        padding: pairs (low, high) for each spatial axis, "SAME", "SAME_LOWER" or "VALID".
        lhs_dilation: the distance of the elements of lhs, zeros going between them.
        rhs_dilation: the distance of the elements of a window.
        dimension_numbers: which axis is which, ("NHWC", "HWIO", "NHWC") or the like; None is NCHW.
        feature_group_count: so many groups of features, each with its own part of the kernel.
        batch_group_count: so many groups of examples, whose results become features.
        precision: changes nothing, products are always exact. preferred_element_type: the dtype
            of the result, if not that of the operands.

    Raises: ShapeError, DtypeError, ArgumentError where these do not fit.

        x, w = jnp.ones((8, 32, 32, 3)), jnp.ones((3, 3, 3, 16))
        lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    >>> x, w = jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 16))
    >>> layout = ("NHWC", "HWIO", "NHWC")
    >>> lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=layout).shape
    (1, 8, 8, 16)
    """
    op = "conv_general_dilated"
    x, kernel = owned(op, lhs), owned(op, rhs)
    return _convolved(op, x, kernel, window_strides, padding, lhs_dilation, rhs_dilation,
                      dimension_numbers, int(feature_group_count), int(batch_group_count),
                      preferred_element_type)


def _convolved(op: str, x: Array, kernel: Array, strides: Ints, padding: Padding,
               base: Ints | None, dilation: Ints | None, dimension_numbers: Any,
               features: int = 1, batches: int = 1, preferred: Any = None) -> Array:
    d = _numbers(op, len(shape_of(x)), len(shape_of(kernel)), dimension_numbers)
    _check_groups(op, x, kernel, d, features, batches)
    rank, what = len(d.lhs_spec) - 2, "spatial axes"
    strides = _each(op, "window_strides", strides, rank, what)
    base = _each(op, "lhs_dilation", base, rank, what)
    dilation = _each(op, "rhs_dilation", dilation, rank, what)
    if isinstance(padding, str):
        if max(base, default=1) > 1:
            raise mistake(ArgumentError, op, f"padding = {padding!r} with lhs_dilation = {base}",
                          hint="pairs (low, high), or lax.conv_transpose")
        sizes = [shape_of(x)[a] for a in d.lhs_spec[2:]]
        padding = _pads(op, sizes, _reaches(kernel, d, dilation), strides, padding)
    wanted = None if preferred is None else dt.dtype(preferred, op=op)
    return convolution(
        x, kernel, lhs_spec=d.lhs_spec, rhs_spec=d.rhs_spec, out_spec=d.out_spec,
        window_strides=strides, padding=_pairs(op, padding, rank, what), lhs_dilation=base,
        rhs_dilation=dilation, window_reversal=(False,) * rank, feature_group_count=features,
        batch_group_count=batches, dtype=None if wanted == type_of(x).dtype else wanted)


def _reaches(kernel: Array, d: ConvDimensionNumbers, dilation: Ints) -> list[int]:
    """How far a window reaches along each spatial axis."""
    return [dilated(shape_of(kernel)[a], step) for a, step in zip(d.rhs_spec[2:], dilation)]


def _check_groups(op: str, x: Array, kernel: Array, d: ConvDimensionNumbers, features: int,
                  batches: int) -> None:
    """ShapeError unless batch and features divide into groups, and agree."""
    batch, feature = (shape_of(x)[a] for a in d.lhs_spec[:2])
    out, inner = (shape_of(kernel)[a] for a in d.rhs_spec[:2])
    types = [type_of(x), type_of(kernel)]
    for name, groups, sizes in (
            ("batch_group_count", batches, {"the batch of lhs": batch, "the output of rhs": out}),
            ("feature_group_count", features,
             {"the features of lhs": feature, "the output of rhs": out})):
        for what, n in sizes.items():
            if groups < 1 or n % groups:
                raise mistake(ShapeError, op, f"{name} = {groups} does not divide {n}, {what}",
                              operands=types, hint="dimension_numbers says which axis is which")
    if inner * features != feature:
        grouped = f" in {features} groups" if features > 1 else ""
        fits = inner and feature % inner == 0 and not out % (feature // inner)
        hint = f"feature_group_count={feature // inner}, or " if fits and features == 1 else ""
        raise mistake(ShapeError, op, f"lhs has {feature} features{grouped}, but rhs takes {inner}",
                      operands=types, hint=hint + "dimension_numbers, which says which axis is "
                      "which (None: NCHW and OIHW)")


def conv(lhs: ArrayLike, rhs: ArrayLike, window_strides: Ints, padding: Padding,
         precision: Any = None, preferred_element_type: Any = None) -> Array:
    """`conv_general_dilated` of NCHW and OIHW, without dilations and groups.

    >>> lax.conv(jnp.ones((1, 3, 8, 8)), jnp.ones((16, 3, 3, 3)), (1, 1), "SAME").shape
    (1, 16, 8, 8)
    """
    return _convolved("conv", owned("conv", lhs), owned("conv", rhs), window_strides, padding,
                      None, None, None, preferred=preferred_element_type)


def conv_with_general_padding(lhs: ArrayLike, rhs: ArrayLike, window_strides: Ints,
                              padding: Padding, lhs_dilation: Ints | None,
                              rhs_dilation: Ints | None, precision: Any = None,
                              preferred_element_type: Any = None) -> Array:
    """`conv_general_dilated` of NCHW and OIHW, without groups.

    >>> x, w = jnp.ones((1, 1, 4)), jnp.ones((1, 1, 2))
    >>> lax.conv_with_general_padding(x, w, (1,), [(1, 0)], None, None)
    Array([[[1., 2., 2., 2.]]], dtype=float32)
    """
    op = "conv_with_general_padding"
    return _convolved(op, owned(op, lhs), owned(op, rhs), window_strides, padding, lhs_dilation,
                      rhs_dilation, None, preferred=preferred_element_type)


# -- its transpose ---------------------------------------------------------------------------------

_BY_RANK = {2: ("NC", "IO", "NC"), 3: ("NHC", "HIO", "NHC"), 4: ("NHWC", "HWIO", "NHWC"),
            5: ("NHWDC", "HWDIO", "NHWDC")}


def conv_transpose(lhs: ArrayLike, rhs: ArrayLike, strides: Ints, padding: Padding,
                   rhs_dilation: Ints | None = None, dimension_numbers: Any = None,
                   transpose_kernel: bool = False, precision: Any = None,
                   preferred_element_type: Any = None,
                   use_consistent_padding: bool = False) -> Array:
    """The convolution that enlarges: lhs with its elements `strides` apart, zeros between them.

    "SAME" makes the result `strides` times as large as lhs, "VALID" as large as all windows reach;
    both are the padding of the convolution that this one goes back from. Pairs are so too with
    `use_consistent_padding`; without, they pad the enlarged array. Dimension numbers are NHWC,
    HWIO, NHWC unless given. `transpose_kernel` turns the kernel round and exchanges its features:
    the result is then what the gradient of that convolution with this kernel gives.

    >>> lax.conv_transpose(jnp.ones((1, 4, 1)), jnp.ones((2, 1, 1)), (2,), "SAME").shape
    (1, 8, 1)
    """
    op = "conv_transpose"
    x, kernel = owned(op, lhs), owned(op, rhs)
    rank = len(shape_of(x))
    d = _numbers(op, rank, len(shape_of(kernel)), dimension_numbers or _BY_RANK.get(rank))
    steps = _each(op, "strides", strides, rank - 2, "spatial axes")
    dilation = _each(op, "rhs_dilation", rhs_dilation, rank - 2, "spatial axes")
    reaches = _reaches(kernel, d, dilation)
    if isinstance(padding, str) and padding.upper() not in ("SAME", "VALID"):
        raise mistake(ArgumentError, op, f"padding = {padding!r}",
                      hint="'SAME', 'VALID' or a pair (low, high) for each spatial axis")
    if isinstance(padding, str):
        padding = [enlarging_pads(n, step, padding.upper()) for n, step in zip(reaches, steps)]
    elif use_consistent_padding:
        pairs = _pairs(op, padding, rank - 2, "spatial axes")
        padding = [(n - 1 - low, n - 1 - high) for n, (low, high) in zip(reaches, pairs)]
    if transpose_kernel:
        kernel = _turned(kernel, d)
    return _convolved(op, x, kernel, (1,) * (rank - 2), padding, steps, dilation, d,
                      preferred=preferred_element_type)


def enlarging_pads(reach: int, step: int, padding: str) -> tuple[int, int]:
    """The padding with which n elements `step` apart become step * n; VALID: all that is touched.

    As in TensorFlow, of an odd number of elements the last goes in front.
    """
    if padding == "VALID":
        return reach - 1, max(reach, step) - 1
    total = reach + step - 2
    low = reach - 1 if step > reach - 1 else -(-total // 2)
    return low, total - low


def _turned(kernel: Array, d: ConvDimensionNumbers) -> Array:
    """The kernel with its spatial axes reversed and its features exchanged."""
    out, inner, *spatial = d.rhs_spec
    order = list(range(len(d.rhs_spec)))
    order[out], order[inner] = inner, out
    turned = reverse(kernel, dimensions=tuple(spatial)) if spatial else kernel
    return transpose(turned, permutation=tuple(order))


# -- folds -----------------------------------------------------------------------------------------


def reduce_window(operand: Any, init_value: Any, computation: Callable[..., Any],
                  window_dimensions: Ints, window_strides: Ints | None = None,
                  padding: Padding = "VALID", base_dilation: Ints | None = None,
                  window_dilation: Ints | None = None) -> Any:
    """What an associative computation makes of the elements of each window, and an initial value.

    The initial value is what pads, too. All other arguments have a number for each axis of the
    operand, or of the operands: a container of arrays of one shape that are reduced together.
    Padding in words is that of the operand before its elements are set `base_dilation` apart.

        lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1))  # pools NHWC

    >>> lax.reduce_window(jnp.arange(4.0), 0.0, lax.add, (2,), (1,), "VALID")
    Array([1., 3., 5.], dtype=float32)
    """
    op, what = "reduce_window", "axes"
    xs, structure = with_initials(op, operand, init_value)
    sizes = shape_of(xs[0])
    window = _each(op, "window_dimensions", window_dimensions, len(sizes), what)
    strides = _each(op, "window_strides", window_strides, len(sizes), what)
    base = _each(op, "base_dilation", base_dilation, len(sizes), what)
    dilation = _each(op, "window_dilation", window_dilation, len(sizes), what)
    if isinstance(padding, str):
        reaches = [dilated(n, step) for n, step in zip(window, dilation)]
        padding = _pads(op, sizes, reaches, strides, padding)
    outs = reduce_window_op(
        *xs, body=region(op, computation, scalars(xs), structure), window_dimensions=window,
        window_strides=strides, base_dilations=base, window_dilations=dilation,
        padding=_pairs(op, padding, len(sizes), what))
    return tree.unflatten(structure, outs)
