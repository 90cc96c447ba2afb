"""A row to be sorted: which variant of the routine, and the words of a row's context."""

from __future__ import annotations

from enum import IntEnum, auto

from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.routines import keys
from arraylib.backends.cpu.routines.wide import Slot, pointer, slot
from arraylib.dtypes import Dtype
from arraylib.record import record

PAIR_BYTES = 8  # of a word and a place


class Own(IntEnum):
    """Words of the context that follow those of `wide`."""

    IS_WIDE = Slot.OWN  # whether all threads sort the row
    POINTERS = auto()   # of the routine: to operands, then to results
    FIRST = auto()      # the row's first element
    SEEN = auto()       # of numbers: to a byte that is 1 if some are ambiguous
    WORD = auto()       # of pairs: which word of the keys
    ORDER = auto()      # the order so far, places of 32 bits
    SPARE = auto()      # room for the next
    COUNT = auto()


@record
class Sort:
    """One variant of the routine: the dtypes of the keys, bytes of each operand's elements, and
    which operands count 0, 1, 2, ... in each row."""

    keys: tuple[Dtype, ...]
    sizes: tuple[int, ...]
    counters: tuple[int, ...] = ()

    @property
    def words(self) -> list[tuple[int, int]]:
        """The words to sort by, the first first: (key, word of it)."""
        return [(k, w) for k in reversed(range(len(self.keys)))
                for w in range(keys.words(self.keys[k]))]

    @property
    def plain(self) -> bool:
        """Whether nothing goes along with one key of whole words."""
        return len(self.sizes) == 1 and self.sizes[0] >= 4

    @property
    def element_bytes(self) -> int:
        """Of the integers that are sorted."""
        return self.sizes[0] if self.plain else PAIR_BYTES

    @property
    def element(self) -> str:
        """The type of the integers that are sorted."""
        return f"i{8 * self.element_bytes}"


def array(f: Function, context: Reg, number: int, size: int) -> Reg:
    """The row in an operand or result."""
    base = f.load(f.gep(pointer(f, context, Own.POINTERS), number, "ptr"), "ptr")
    return f.gep(base, slot(f, context, Own.FIRST) * size, "i8")
