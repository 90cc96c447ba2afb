"""Random statements without bodies: each function writes one into a scope, or raises Unable.

A step says of its result whether it is exact and how large it may be; see `program_text.Known`.
"""

from __future__ import annotations

import numpy as np
from program_scope import EXACT, MOST, SIZES, Scope, Unable
from program_text import Known

from arraylib import dtypes as dt

# -- elementwise -----------------------------------------------------------------------------------

SMOOTH = (  # of any float: text, bound (a function of the operand's where it grows)
    ("jnp.sin({x})", 1), ("jnp.cos({x})", 1), ("jnp.tanh({x})", 1), ("lax.logistic({x})", 1),
    ("jnp.exp(jnp.minimum({x}, 2))", 8), ("jnp.expm1(jnp.clip({x}, -2, 2))", 7),
    ("jnp.exp2(jnp.clip({x}, -3, 3))", 8), ("jnp.log(jnp.square({x}) + 1)", 12),
    ("jnp.log1p(jnp.square({x}))", 12), ("jnp.log2(jnp.square({x}) + 0.5)", 16),
    ("jnp.log10(jnp.square({x}) + 0.5)", 6), ("jnp.sqrt(jnp.square({x}) + 1)", lambda b: b + 1),
    ("lax.rsqrt(jnp.square({x}) + 0.5)", 2), ("jnp.cbrt(jnp.square({x}) + 1)", 30),
    ("jnp.arctan({x})", 2), ("jnp.arcsinh({x})", 12), ("jnp.sinh(jnp.clip({x}, -3, 3))", 12),
    ("jnp.cosh(jnp.clip({x}, -3, 3))", 12), ("lax.erf({x})", 1), ("lax.erfc({x})", 2),
    ("1 / (jnp.square({x}) + 2)", 1), ("jnp.arcsin(jnp.sin({x}) * 0.75)", 2),
    ("jnp.arccos(jnp.cos({x}) * 0.5)", 4), ("jnp.arctanh(jnp.sin({x}) * 0.5)", 1),
    ("jnp.arccosh(jnp.square({x}) + 1.5)", 12), ("jnp.tan(jnp.clip({x}, -1, 1))", 2),
    ("jnp.sinc(jnp.clip({x}, -3, 3))", 1), ("nn.softplus({x})", lambda b: b + 1),
    ("nn.silu({x})", lambda b: b + 1), ("nn.gelu({x})", lambda b: b + 1),
    ("nn.elu({x})", lambda b: b + 1), ("nn.leaky_relu({x})", lambda b: b),
    ("{x} * 0.3125", lambda b: b), ("{x} / 3", lambda b: b), ("0.7 - {x}", lambda b: b + 1),
    ("jnp.power(jnp.square({x}) + 0.5, 0.75)", lambda b: (b + 1) ** 1.5),
    ("jnp.deg2rad({x})", lambda b: b),
)
KEEPING = (  # of any number: exact where the operand is
    ("-{x}", None), ("+{x}", None), ("{x} + 1", 1), ("2 - {x}", 2),
    ("{x} * 2", lambda b: 2 * b), ("jnp.square({x})", lambda b: b * b), ("{x} ** 3",
     lambda b: b ** 3), ("jnp.maximum({x}, 0)", None), ("jnp.clip({x}, 0, 5)", None),
    ("jnp.minimum({x}, 3)", None), ("nn.relu({x})", None), ("jnp.nan_to_num({x})", None),
    ("lax.stop_gradient({x})", None), ("jnp.copy({x})", None), ("jnp.real({x})", None),
)
JUMPING = (  # of exact floats and integers
    ("jnp.sign({x})", 1), ("jnp.floor_divide({x}, 3)", None), ("jnp.mod({x}, 5)", 5),
    ("jnp.fmod({x}, 4)", 4), ("lax.rem({x}, jnp.full_like({x}, 3))", 3),
    ("jnp.where({x} > 1, {x}, 1)", 1), ("jnp.divmod({x}, 2)[0]", None),
)
FLOAT_JUMPING = (("jnp.floor({x})", None), ("jnp.ceil({x})", None), ("jnp.trunc({x})", None),
                 ("jnp.round({x})", None), ("jnp.rint({x})", None))
OF_INTEGERS = ("~{x}", "lax.population_count({x})", "lax.clz({x})", "{x} & 6", "{x} | 1",
               "{x} ^ 5", "{x} << 1", "{x} >> 1", "lax.shift_right_logical({x}, {x} & 3)",
               "lax.shift_right_arithmetic({x}, {x} & 3)", "lax.shift_left({x}, {x} & 3)",
               "jnp.bitwise_count({x})")
TESTS = ("jnp.isnan({x})", "jnp.isfinite({x})", "jnp.isinf({x})", "jnp.signbit({x})",
         "lax.is_finite({x})")


def _bound(rule, bound):
    if callable(rule):
        return rule(bound)
    return bound if rule is None else bound + rule


def smooth(s: Scope) -> None:
    x = s.pick(lambda k: k.kind == "f")
    text, rule = s.choice(SMOOTH)
    bound = s.known(x).bound
    if bound > 20:  # the sine of a large number would be all rounding
        x, bound = f"({x} * {1 / round(bound):.3g})", 1
    s.emit(text.format(x=x), False, rule(bound) if callable(rule) else rule)


def keeping(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "iuf")
    k = s.known(x)
    text, rule = s.choice(KEEPING)
    s.emit(text.format(x=x), k.exact, np.inf if k.kind == "u" else _bound(rule, k.bound))


def jumping(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "iuf" and k.exact)
    k = s.known(x)
    floats = k.kind == "f" and s.chance(0.4)
    text, rule = s.choice(FLOAT_JUMPING if floats else JUMPING)
    s.emit(text.format(x=x), True, _bound(rule, k.bound))


def of_integers(s: Scope) -> None:
    s.emit(s.choice(OF_INTEGERS).format(x=s.pick(lambda k: k.kind in "iu")), True, np.inf)


def tests(s: Scope) -> None:
    s.emit(s.choice(TESTS).format(x=s.pick(lambda k: k.kind == "f" and k.exact)), True, 1)


def _broadcast(s: Scope, x: str, fits) -> str:
    """A value that broadcasts with x and fits."""
    shape = s.known(x).shape

    def both(k: Known) -> bool:
        try:
            return fits(k) and np.prod(np.broadcast_shapes(shape, k.shape)) <= MOST
        except ValueError:
            return False
    return s.pick(both)


def _mixes(s: Scope, x: str):
    """Whether a value may meet x in arithmetic: integers of unknown size may not meet floats."""
    a = s.known(x)

    def fits(k: Known) -> bool:
        if k.kind == "c":
            return False
        if k.kind == "f" or a.kind == "f":
            return k.kind == "b" or a.kind == "b" or max(k.bound, a.bound) <= 1000
        return k.dtype == a.dtype or dt.uint64 not in (k.dtype, a.dtype) and s.chance(0.5)
    return fits


def arithmetic(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "iuf")
    y = _broadcast(s, x, _mixes(s, x))
    a, b = s.known(x), s.known(y)
    text, bound = s.choice((
        ("{x} + {y}", a.bound + b.bound), ("{x} - {y}", a.bound + b.bound),
        ("{x} * {y}", a.bound * b.bound), ("jnp.maximum({x}, {y})", max(a.bound, b.bound)),
        ("jnp.minimum({y}, {x})", max(a.bound, b.bound)),
        ("jnp.add({y}, {x})", a.bound + b.bound)))
    s.emit(text.format(x=x, y=y), a.exact and b.exact,
           np.inf if "u" in (a.kind, b.kind) else bound)


def smooth_binary(s: Scope) -> None:
    x = s.pick(lambda k: k.kind == "f")
    y = _broadcast(s, x, lambda k: k.kind == "f")
    a, b = s.known(x), s.known(y)
    text, bound = s.choice((
        ("{x} / (jnp.square({y}) + 1)", a.bound), ("jnp.arctan2({x}, jnp.square({y}) + 0.5)", 2),
        ("jnp.hypot({x}, jnp.square({y}) + 1)", a.bound + b.bound ** 2 + 1),
        ("jnp.logaddexp({x}, {y})", max(a.bound, b.bound) + 1),
        ("jnp.power(jnp.square({x}) + 0.5, jnp.sin({y}))", max(a.bound ** 2, 2) + 1),
        ("jnp.divide({x}, jnp.cosh(jnp.sin({y})))", a.bound)))
    s.emit(text.format(x=x, y=y), False, bound)


def bitwise(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "biu" and k.dtype != dt.uint64)
    kind = s.known(x).kind
    y = _broadcast(s, x, lambda k: k.kind == kind or {k.kind, kind} == {"i", "u"} and
                   k.dtype.itemsize < 8)
    s.emit(f"{x} {s.choice('&|^')} {y}", True, np.inf)


def compare(s: Scope) -> None:
    x = s.pick(lambda k: k.exact)
    y = _broadcast(s, x, lambda k: k.exact and (
        k.dtype == s.known(x).dtype or max(k.bound, s.known(x).bound) <= 100))
    s.emit(f"{x} {s.choice(('<', '<=', '>', '>=', '==', '!='))} {y}", True, 1)


def logical(s: Scope) -> None:
    x = s.pick(lambda k: k.exact)
    y = _broadcast(s, x, lambda k: k.exact)
    s.emit(f"jnp.logical_{s.choice(('and', 'or', 'xor'))}({x}, {y})", True, 1)


def where(s: Scope) -> None:
    c = s.pick(lambda k: k.kind == "b")
    x = _broadcast(s, c, lambda k: k.kind in "iuf")
    y = _broadcast(s, x, _mixes(s, x))
    a, b = s.known(x), s.known(y)
    try:
        shape = np.broadcast_shapes(*(s.known(n).shape for n in (c, x, y)))
    except ValueError:
        raise Unable from None
    if np.prod(shape) > MOST:
        raise Unable
    s.emit(f"jnp.where({c}, {x}, {y})", a.exact and b.exact, max(a.bound, b.bound)
           if "u" not in (a.kind, b.kind) else np.inf)


def cast(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "biu" or k.kind == "f" and k.size > 0)
    k = s.known(x)
    to = s.choice(dtypes_of(s.names.bits))
    kind = "f" if to.kind == "V" else to.kind
    if kind != "f" and not k.exact:
        raise Unable
    text, bound, exact = x, k.bound, k.exact
    if k.kind == "f" and kind in "iu":
        if k.bound > min(np.iinfo(to).max, 2.0**31):
            raise Unable
        text = f"jnp.abs({x})" if kind == "u" else x
    if kind == "u" and k.kind == "i":
        bound = np.inf
    if kind == "f" and k.kind in "iu" and k.bound > EXACT[to]:
        exact = False
    s.emit(f"{text}.astype('{to.name}')", exact, bound)


def dtypes_of(bits: int) -> tuple:
    common = (dt.bool_, dt.int8, dt.uint8, dt.int16, dt.int32, dt.uint32, dt.float16, dt.bfloat16,
              dt.float32, dt.float32, dt.float32)
    return common if bits == 32 else (*common, dt.int64, dt.uint64, dt.float64, dt.float64)


# -- reductions ------------------------------------------------------------------------------------


def axes(s: Scope, rank: int) -> tuple[str, tuple[int, ...]]:
    """An `axis=` and what it means."""
    if rank and s.chance(0.7):
        count = s.integer(1, rank) if s.chance(0.4) else 1
        chosen = tuple(int(a) for a in s.rng.permutation(rank)[:count])
        written = tuple(a - rank if s.chance(0.3) else a for a in chosen)
        return str(written[0] if count == 1 and s.chance(0.8) else written), chosen
    return "None", tuple(range(rank))


def _count(k: Known, over) -> int:
    return int(np.prod([k.shape[a] for a in over]))


def reduce(s: Scope) -> None:
    x = s.pick()
    k = s.known(x)
    text, over = axes(s, k.rank)
    keep = ", keepdims=True" if s.chance(0.4) else ""
    count = _count(k, over)
    names = [("sum", count * k.bound), ("sum", count * k.bound)]
    if count and k.kind != "c":
        names += [("max", k.bound), ("min", k.bound)]
    if k.kind in "fc" and count:
        names += [("mean", k.bound)]
    if count <= 5:
        names += [("prod", max(1, k.bound) ** count)]
    name, bound = s.choice(names)
    if k.kind not in "fc":
        bound = np.inf
    s.emit(f"jnp.{name}({x}, axis={text}{keep})", k.exact and name != "mean", bound)


def truth(s: Scope) -> None:
    x = s.pick(lambda k: k.exact)
    text, _ = axes(s, s.known(x).rank)
    s.emit(f"jnp.{s.choice(('any', 'all', 'count_nonzero'))}({x}, axis={text})", True, MOST)


def place(s: Scope) -> None:
    x = s.pick(lambda k: k.exact and k.rank > 0 and k.size > 0)
    axis = s.integer(-s.known(x).rank, s.known(x).rank - 1)
    s.emit(f"jnp.{s.choice(('argmax', 'argmin'))}({x}, axis={axis})", True, MOST)


def smooth_reduce(s: Scope) -> None:
    x = s.pick(lambda k: k.kind == "f" and k.size > 0)
    k = s.known(x)
    text, _ = axes(s, k.rank)
    one = s.integer(-k.rank, k.rank - 1) if k.rank else None
    choices = [(f"nn.logsumexp({x}, axis={text})", k.bound + 9),
               (f"jnp.var({x}, axis={text})", k.bound ** 2)]
    if one is not None:
        choices += [(f"nn.softmax({x}, axis={one})", 1), (f"nn.softmax({x}, axis={one})", 1),
                    (f"nn.log_softmax({x}, axis={one})", 2 * k.bound + 9),
                    (f"nn.standardize({x}, axis={one})", 12)]
    s.emit(*((lambda c: (c[0], False, c[1]))(s.choice(choices))))


def masked_sum(s: Scope) -> None:
    x = s.pick(lambda k: k.kind in "fi" and k.rank > 0)
    k = s.known(x)
    mask = s.pick(lambda m: m.kind == "b" and m.shape == k.shape)
    text, over = axes(s, k.rank)
    s.emit(f"jnp.sum({x}, axis={text}, where={mask})", k.exact,
           k.bound * _count(k, over) if k.kind == "f" else np.inf)


def cumulative(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.kind in "iuf")
    k = s.known(x)
    axis = s.integer(0, k.rank - 1)
    n = k.shape[axis]
    reverse = ", reverse=True" if s.chance(0.5) else ""
    choices = [(f"jnp.cumsum({x}, axis={axis})", n * k.bound),
               (f"lax.cumsum({x}, axis={axis}{reverse})", n * k.bound)]
    if k.kind != "f":  # where floats tie, the derivative is a matter of taste
        choices += [(f"lax.cummax({x}, axis={axis}{reverse})", k.bound),
                    (f"lax.cummin({x}, axis={axis}{reverse})", k.bound)]
    if n <= 5:
        choices.append((f"jnp.cumprod({x}, axis={axis})", max(1, k.bound) ** n))
    text, bound = s.choice(choices)
    s.emit(text, k.exact, bound if k.kind == "f" else np.inf)


# -- products --------------------------------------------------------------------------------------


def _inner(a: Known, b: Known, n: int) -> tuple[bool, float]:
    return a.exact and b.exact, (n * a.bound * b.bound if a.kind in "fc" else np.inf)


def matmul(s: Scope) -> None:
    x = s.pick(lambda k: 1 <= k.rank <= 3 and k.kind in "iufc")
    a = s.known(x)
    y = s.pick(lambda k: k.kind == a.kind and 1 <= k.rank <= 2
               and k.shape[0] == a.shape[-1] and a.size * k.size <= 60000)
    s.emit(f"{x} @ {y}", *_inner(a, s.known(y), a.shape[-1]))


def einsum(s: Scope) -> None:
    x = s.pick(lambda k: 1 <= k.rank <= 3 and k.kind == "f")
    a = s.known(x)
    y = s.pick(lambda k: 1 <= k.rank <= 3 and k.kind == "f")
    b = s.known(y)
    left, sizes = "abc"[:a.rank], dict(zip("abc", a.shape))
    right = ""
    for n in b.shape:
        same = [c for c, m in sizes.items() if m == n and c not in right]
        letter = s.choice(same) if same and s.chance(0.8) else "xyz"[len(right)]
        right += letter
        sizes.setdefault(letter, n)
    out = [c for c in sizes if c not in left or c not in right or s.chance(0.4)]
    out = [out[i] for i in s.rng.permutation(len(out)) if s.chance(0.85)]
    if np.prod([*sizes.values()]) > 60000 or np.prod([sizes[c] for c in out]) > MOST:
        raise Unable
    n = int(np.prod([m for c, m in sizes.items() if c not in out]))
    s.emit(f"jnp.einsum('{left},{right}->{''.join(out)}', {x}, {y})", *_inner(a, b, n))


def products(s: Scope) -> None:
    x = s.pick(lambda k: 1 <= k.rank <= 2 and k.kind in "iuf" and k.size <= 60)
    a = s.known(x)
    if s.chance(0.5):
        y = s.pick(lambda k: k.rank == 1 and k.kind == a.kind and k.size <= 60)
        s.emit(f"jnp.outer({x}, {y})", *_inner(a, s.known(y), 1))
    else:
        axis = s.integer(0, a.rank - 1)
        y = s.pick(lambda k: k.kind == a.kind and 1 <= k.rank <= 2
                   and k.shape[0] == a.shape[axis] and k.size <= 300)
        s.emit(f"jnp.tensordot({x}, {y}, axes=([{axis}], [0]))",
               *_inner(a, s.known(y), a.shape[axis]))


# -- shapes ----------------------------------------------------------------------------------------


def _same(s: Scope, x: str, text: str) -> str:
    return s.emit(text, s.known(x).exact, s.known(x).bound)


def reshape(s: Scope) -> None:
    x = s.pick()
    k = s.known(x)
    shape, left = [], k.size
    while left > 1 and len(shape) < 3:
        shape.append(int(s.choice([n for n in range(1, left + 1) if left % n == 0])))
        left //= shape[-1]
    shape = (*shape, left) if k.size else s.choice(((0,), (0, 3), (2, 0), (1, 0, 1)))
    _same(s, x, s.choice((f"{x}.reshape({shape})", f"jnp.reshape({x}, {shape})",
                          f"jnp.ravel({x})")))


def rearrange(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0)
    k = s.known(x)
    order = tuple(int(a) for a in s.rng.permutation(k.rank))
    a, b = s.integer(0, k.rank - 1), s.integer(-k.rank, k.rank - 1)
    choices = [f"{x}.T", f"jnp.transpose({x}, {order})", f"jnp.transpose({x}, {order})",
               f"jnp.flip({x}, {a})", f"jnp.roll({x}, {s.integer(-3, 9)}, {b})",
               f"jnp.moveaxis({x}, {a}, {b})", f"lax.rev({x}, {tuple(sorted({a, b % k.rank}))})",
               f"jnp.expand_dims({x}, {b})", f"jnp.squeeze({x[:]}[None])", f"{x}[..., None]",
               f"jnp.swapaxes({x}, {a}, {b})"]
    if k.rank > 1:
        choices += [f"jnp.rot90({x}, {s.integer(1, 3)})", f"jnp.tril({x}, {s.integer(-1, 2)})",
                    f"jnp.triu({x}, {s.integer(-2, 1)})",
                    f"jnp.diagonal({x}, {s.integer(-1, 1)})"]
    _same(s, x, s.choice(choices))


def enlarge(s: Scope) -> None:
    x = s.pick(lambda k: k.size <= MOST / 4)
    k = s.known(x)
    lead = tuple(int(s.choice(SIZES[:5])) for _ in range(s.integer(1, 2)))
    grown = tuple(int(s.choice(SIZES)) if n == 1 and s.chance(0.7) else n for n in k.shape)
    tiles = tuple(s.integer(1, 2) for _ in range(max(1, k.rank)))
    choices = [f"jnp.broadcast_to({x}, {(*lead, *k.shape)})", f"jnp.tile({x}, {tiles})"]
    if grown != k.shape:
        choices += [f"jnp.broadcast_to({x}, {grown})"] * 2
    if k.rank:
        choices.append(f"jnp.repeat({x}, {s.integer(1, 3)}, axis={s.integer(0, k.rank - 1)})")
    _same(s, x, s.choice(choices))


def _cut(s: Scope, n: int) -> str:
    if s.chance(0.3):
        return ":"
    step = int(s.choice((1, 1, 1, 2, 3, -1, -1, -2)))
    if s.chance(0.3):
        return f"::{step}"
    a, b = sorted((s.integer(0, n), s.integer(0, n)))
    return f"{a}:{b}:{step}" if step > 0 else f"{b}:{a}:{step}"


def slices(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0)
    shape = s.known(x).shape
    parts = [str(s.integer(-n, n - 1)) if n and s.chance(0.2) else _cut(s, n) for n in shape]
    if s.chance(0.3):
        parts.insert(s.integer(0, len(parts)), "None")
    _same(s, x, f"{x}[{', '.join(parts)}]")


def join(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0)
    a = s.known(x)
    axis = s.integer(0, a.rank - 1)

    def fits(k: Known) -> bool:
        return k.rank == a.rank and k.dtype == a.dtype and all(
            n == m or i == axis for i, (n, m) in enumerate(zip(k.shape, a.shape)))
    others = [s.pick(fits) for _ in range(s.integer(1, 3))]
    parts = [s.known(n) for n in (x, *others)]
    text = f"jnp.concatenate([{', '.join((x, *others))}], {axis})"
    if s.chance(0.4) and all(k.shape == a.shape for k in parts):
        text = f"jnp.stack([{', '.join((x, *others))}], axis={s.integer(-1, a.rank)})"
    s.emit(text, all(k.exact for k in parts), max(k.bound for k in parts))


def pad(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.kind in "iuf")
    k = s.known(x)
    if s.chance(0.4):
        config = [(s.integer(-1, 2), s.integer(-2, 3), int(s.chance(0.3))) for _ in k.shape]
        if any(low + high + n + i * max(0, n - 1) < 0
               for (low, high, i), n in zip(config, k.shape)):
            raise Unable
        _same(s, x, f"lax.pad({x}, np.array(1, {x}.dtype), {config})")
        return
    widths = [(s.integer(0, 2), s.integer(0, 2)) for _ in k.shape]
    mode = s.choice(("constant", "edge", "reflect", "wrap", "symmetric"))
    if mode != "constant" and min(k.shape) < 3:
        raise Unable
    _same(s, x, f"jnp.pad({x}, {widths}, mode='{mode}')")


# -- indices ---------------------------------------------------------------------------------------


def _static_index(s: Scope, n: int, count: tuple[int, ...]) -> str:
    values = s.rng.integers(-n, n, count).tolist()
    return f"np.array({values}, 'int32')"


def _traced_index(s: Scope, n: int, fits=lambda k: True) -> str:
    """An integer array reduced to what is in bounds of an axis of size n."""
    i = s.pick(lambda k: k.kind in "iu" and k.size <= 40 and k.dtype != dt.uint64 and fits(k))
    wide = f"{i}.astype('int32')" if s.known(i).dtype.itemsize < 4 else i
    return f"({wide} % {n})"


def _index(s: Scope, n: int, fits=lambda k: True) -> str:
    if s.chance(0.6):
        try:
            return _traced_index(s, n, fits)
        except Unable:
            pass
    return _static_index(s, n, (s.integer(1, 5),))


def gather(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.size > 0)
    k = s.known(x)
    axis = s.integer(0, k.rank - 1)
    n = k.shape[axis]
    lead = ":, " * axis
    choices = [f"{x}[{lead}{_index(s, n)}]", f"jnp.take({x}, {_index(s, n)}, axis={axis})",
               f"jnp.take({x}, {_index(s, 2 * n)} - {n // 2}, axis={axis}, mode='clip')"]
    if k.rank > 1:
        one = _static_index(s, k.shape[0], (3,))
        choices += [f"{x}[{one}, {_static_index(s, k.shape[1], (3,))}]",
                    f"{x}[{one}, ..., ::-1]", f"{x}[:, {_static_index(s, k.shape[1], (2, 2))}]",
                    f"{x}[{_traced_index(s, k.shape[0], lambda k: k.rank == 0)}, 0]"]
    _same(s, x, s.choice(choices))


def along(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.size > 0 and k.exact)
    k = s.known(x)
    axis = s.integer(0, k.rank - 1)
    _same(s, x, f"jnp.take_along_axis({x}, jnp.argsort({x}, axis={axis}), axis={axis})")


def scatter(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.size > 0 and k.kind in "iuf")
    k = s.known(x)
    at = f"{_index(s, k.shape[0], lambda i: i.rank == 1)}" if s.chance(0.7) else \
        f"{_cut(s, k.shape[0])}"
    kind = s.choice(("add", "set", "multiply", "max", "min"))
    y = s.pick(lambda v: v.kind == k.kind and v.dtype == k.dtype and v.shape == k.shape[1:])
    v = s.known(y)
    bound = {"add": k.bound + 40 * v.bound, "multiply": max(k.bound, 1) * v.bound ** 5}.get(
        kind, max(k.bound, v.bound))
    if kind == "multiply" and k.kind == "f" and v.bound > 2:
        raise Unable
    s.emit(f"{x}.at[{at}].{kind}({y})", k.exact and v.exact,
           bound if k.kind == "f" else np.inf)


def dynamic(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.size > 0)
    k = s.known(x)
    i = s.pick(lambda i: i.kind == "i" and i.rank == 0)
    n = s.integer(1, k.shape[0])
    choices = [f"lax.dynamic_slice_in_dim({x}, {i}, {n}, axis=0)",
               f"lax.dynamic_index_in_dim({x}, {i}, axis={s.integer(0, k.rank - 1)})",
               f"lax.dynamic_update_slice_in_dim({x}, {x}[:{n}], {i}, axis=0)",
               f"lax.dynamic_update_slice({x}, {x}[:{n}], ({', '.join([i] * k.rank)},))",
               f"{x}[{i} % {k.shape[0]}]", f"{x}.at[{i} % {k.shape[0]}].set({x}[0])"]
    _same(s, x, s.choice(choices))


# -- sorting ---------------------------------------------------------------------------------------


def sort(s: Scope) -> None:
    x = s.pick(lambda k: k.rank > 0 and k.kind != "c")
    k = s.known(x)
    axis = s.integer(-k.rank, k.rank - 1)
    if k.exact and s.chance(0.5):
        stable = s.choice((f"jnp.argsort({x}, axis={axis})",
                           f"jnp.argsort({x}, axis={axis}, descending=True)",
                           f"lax.sort(({x}, {x} == {x}), dimension={axis % k.rank})[1]"))
        s.emit(stable, True, MOST)
        return
    texts = [f"jnp.sort({x}, axis={axis})"]
    if k.kind in "iuf" and k.shape[-1] > 0:
        texts.append(f"lax.top_k({x}, {s.integer(1, k.shape[-1])})[0]")
    _same(s, x, s.choice(texts))


def one_hot(s: Scope) -> None:
    i = s.pick(lambda k: k.kind in "iu" and k.size <= 60)
    s.emit(f"nn.one_hot({i}, {s.integer(1, 5)}, dtype='{s.choice(('float32', 'bfloat16'))}')",
           True, 1)


def create(s: Scope) -> None:
    shape = s.shape(s.integer(0, 3))
    dtype = s.choice([d for d in dtypes_of(s.names.bits) if d != dt.bool_])
    kind = "f" if dtype.kind == "V" else dtype.kind
    exact = kind != "f" or s.chance(0.6)
    if s.chance(0.5):
        s.names.known[s.constant(Known(shape, dtype, exact, 9 if exact else 2))]
        name = [*s.names.constants][-1]
        s.emit(f"jnp.asarray({name})", exact, 9 if exact else 2)
        return
    value = s.integer(0, 7) if exact else round(float(s.rng.uniform(-2, 2)), 3)
    s.emit(s.choice((f"jnp.full({shape}, {value}, '{dtype.name}')",
                     f"jnp.ones({shape}, '{dtype.name}')",
                     f"jnp.arange({s.integer(1, 17)}).astype('{dtype.name}')",
                     f"jnp.eye({s.integer(1, 5)}, {s.integer(1, 7)}, dtype='{dtype.name}')",
                     f"lax.broadcasted_iota('{dtype.name}', {(3, *shape[:1])}, 0)")),
           exact, 20)


STEPS = (
    (10, smooth), (6, keeping), (4, jumping), (3, of_integers), (1, tests), (12, arithmetic),
    (5, smooth_binary), (3, bitwise), (4, compare), (2, logical), (5, where), (6, cast),
    (10, reduce), (2, truth), (2, place), (5, smooth_reduce), (2, masked_sum), (4, cumulative),
    (6, matmul), (5, einsum), (3, products), (5, reshape), (6, rearrange), (4, enlarge),
    (5, slices), (4, join), (4, pad), (5, gather), (2, along), (5, scatter), (3, dynamic),
    (4, sort), (1, one_hot), (4, create),
)
