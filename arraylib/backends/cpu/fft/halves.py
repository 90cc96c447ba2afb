"""Cores for transforms of real numbers side by side in lanes: what `rowwise` does along rows.

`count` is h, or for `mirror` the whole length. What goes back to real numbers has its parts in each
other's place, which makes the transform that follows the inverse one.
"""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.fft.butterfly import Complex
from arraylib.backends.cpu.fft.vectors import load_element, load_factor, store_element


def define_halves(module: Module, element: str, parameters: Sequence[tuple[str, str]]) -> None:
    """The functions."""
    _define_unfold(module, element, parameters)
    _define_fold(module, element, parameters)
    _define_mirror(module, element, parameters)


def _exchanged(x: Complex) -> Complex:
    return Complex(x.im, x.re)


def _define_unfold(module: Module, element: str, parameters: Sequence[tuple[str, str]]) -> None:
    """X[0:h + 1] of Z[0:h]."""
    f = Function(module, "unfold", parameters)
    source, target, table, h, *_ = f.args

    def pair(k: Reg, _: list[Reg]) -> None:
        a = load_element(f, source, k, element)
        b = load_element(f, source, h - k, element).conjugate()
        even, odd = (a + b).scaled(0.5), (a - b).scaled(0.5).times_minus_i()
        odd = odd * load_factor(f, table, k, element)
        store_element(f, even + odd, target, k, element)
        store_element(f, (even - odd).conjugate(), target, h - k, element)

    first = load_element(f, source, 0, element)
    zero = f.const(first.re.type, 0)
    store_element(f, Complex(first.re + first.im, zero), target, 0, element)
    store_element(f, Complex(first.re - first.im, zero), target, h, element)
    f.loop(1, h.lshr(1) + 1, 1, [], pair)
    f.ret()


def _define_fold(module: Module, element: str, parameters: Sequence[tuple[str, str]]) -> None:
    """Z[0:h] of X[0:h + 1]; of the first and the last only the real parts count."""
    f = Function(module, "fold", parameters)
    source, target, table, h, *_ = f.args

    def pair(k: Reg, _: list[Reg]) -> None:
        a = load_element(f, source, k, element)
        b = load_element(f, source, h - k, element).conjugate()
        even, odd = (a + b).scaled(0.5), (a - b).scaled(0.5)
        odd = odd * load_factor(f, table, k, element).conjugate()
        odd = Complex(-odd.im, odd.re)
        store_element(f, _exchanged(even + odd), target, k, element)
        store_element(f, _exchanged((even - odd).conjugate()), target, h - k, element)

    low, high = (load_element(f, source, k, element).re for k in (0, h))
    store_element(f, Complex((low - high) * 0.5, (low + high) * 0.5), target, 0, element)
    f.loop(1, h.lshr(1) + 1, 1, [], pair)
    f.ret()


def _define_mirror(module: Module, element: str, parameters: Sequence[tuple[str, str]]) -> None:
    """A whole transform of an odd length n of its first half; the first number is real."""
    f = Function(module, "mirror", parameters)
    source, target, _, n, *_ = f.args

    def pair(k: Reg, _: list[Reg]) -> None:
        x = load_element(f, source, k, element)
        store_element(f, _exchanged(x), target, k, element)
        store_element(f, _exchanged(x.conjugate()), target, n - k, element)

    first = load_element(f, source, 0, element).re
    store_element(f, Complex(f.const(first.type, 0), first), target, 0, element)
    f.loop(1, (n + 1).lshr(1), 1, [], pair)
    f.ret()
