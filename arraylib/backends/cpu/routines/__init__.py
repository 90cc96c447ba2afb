"""Operations whose code is no nest of loops: running sums, sorts, Fourier transforms.

A routine is a function `void (ptr pointers, ptr numbers, ptr scratch)`. The pointers are the
addresses of the operands, then of the results, all dense; the numbers are i64, decided when the
program is written (sizes, division of the work); the scratch memory is aligned to 64 bytes and
holds anything. Its code depends on dtypes and the like but on no sizes, which its symbol names:
`arraylib_routine.cumulative.add.float32.0.rows`. Code is made at its first use and kept on disk.

Each routine is a module with two functions, entered in `library.ROUTINES`:

    call(attrs, operands, results) -> Call | None     what to call; None: not for these
    define(module, symbol, *words)                    write the code for the words of a symbol
"""

from arraylib.backends.cpu.routines.call import Call
from arraylib.backends.cpu.routines.library import ROUTINES, call_of, is_symbol, piece, supports

__all__ = ["ROUTINES", "Call", "call_of", "is_symbol", "piece", "supports"]
