"""debug.check: what a program states about its values, in jit as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from arraylib import dtypes as dt, tree
from arraylib.errors import ArgumentError, CheckError, DtypeError, Source, here, mistake
from arraylib.hlo.ir import Type, type_of
from arraylib.hlo.ops.check import Failure, Loud, around, element, emit_check
from arraylib.record import record
from arraylib.tracing.core import as_operand, flatten_call


@record
class UserCheck(Loud):
    """The report of a check in a user's program."""

    message: str
    values: Any  # structure of (positional, by name)
    predicate: Type
    where: Source
    category = "user"

    def error(self, failure: Failure) -> Exception:
        text = _formatted(self.message, self.values, failure.values)
        problem = f"{text}{element(failure.place, self.predicate)}{around(failure)}"
        return mistake(CheckError, "check", problem, where=self.where,
                       hint="debug.print or debug.breakpoint in the line before")


def _formatted(message: str, structure: Any, values: Sequence[Any]) -> str:
    args, kwargs = tree.unflatten(structure, values)
    return message.format(*args, **kwargs)


def check(predicate: Any, message: str, *args: Any, **kwargs: Any) -> None:
    """CheckError, with `message.format(*args, **kwargs)`, unless all of `predicate` is true.

    Under jit the error comes out of the call of the jitted function, once the program has ended;
    it names the line of the check, the step of each loop around it and the example of each vmap,
    and is the first of all that failed. A while_loop ends at the first failure. Inside of
    `checkify.checkify` it is a value instead.

    Args:
        predicate: a bool, or an array of bools.
        message: a text with fields, as for str.format. args, kwargs: arrays and numbers for them.

    Raises: CheckError, a ValueError and RuntimeError; DtypeError for a predicate that is no bool;
    ArgumentError for a message whose fields are not given.

        >>> jit(lambda x: (debug.check(x > 0, "x is {}", x), jnp.log(x))[1])(-1.0)
        Traceback (most recent call last):
            ...
        arraylib.errors.CheckError: check: x is -1.0...
    """
    held = as_operand(predicate, "check", lambda: "the predicate")
    type = type_of(held)
    if not dt.is_bool(type.dtype):
        raise mistake(DtypeError, "check", f"the predicate is {type}, not bool",
                      hint="a comparison, such as jnp.all(x > 0)")
    operands, structure = flatten_call("check", args, kwargs)
    try:
        _formatted(message, structure, [np.zeros(t.shape, t.dtype)[()]
                                        for t in map(type_of, operands)])
    except (IndexError, KeyError, ValueError, TypeError) as error:
        raise mistake(ArgumentError, "check", f"the message {message!r} cannot be formatted: "
                      f"{error}", operands=[type_of(x) for x in operands],
                      hint="a field for each value: check(x > 0, 'x is {}', x)") from None
    emit_check(held, UserCheck(message, structure, type, here()), operands)
