"""What the functions of stages share: `void stage(ptr areas, ptr words, ptr own, row, item)`."""

from __future__ import annotations

from arraylib.backends.cpu.emitter import Function, Reg
from arraylib.backends.cpu.fft.words import Word
from arraylib.record import record

STAGE_PARAMETERS = (("ptr", "areas"), ("ptr", "words"), ("ptr", "own"), ("i64", "row"),
                    ("i64", "item"))


def number(f: Function, base: Reg, index: int) -> Reg:
    """A word of an array."""
    return f.load(f.gep(base, int(index), "i64"), "i64")


def pointer(f: Function, base: Reg, index: Reg | int) -> Reg:
    """A pointer of an array."""
    return f.load(f.gep(base, index, "ptr"), "ptr")


@record
class Frame:
    """The arguments of a stage's function."""

    f: Function

    @property
    def areas(self) -> Reg:
        return self.f.args[0]

    @property
    def own(self) -> Reg:
        """The thread's memory; it begins with two buffers for lanes."""
        return self.f.args[2]

    @property
    def row(self) -> Reg:
        return self.f.args[3]

    @property
    def item(self) -> Reg:
        return self.f.args[4]

    def word(self, word: Word) -> Reg:
        """A number of the stage."""
        return number(self.f, self.f.args[1], word)

    def place(self, word: Word) -> Reg:
        """Where the row and item begin in the array that the word and the next ones describe."""
        area, offset, row, item = (number(self.f, self.f.args[1], word + k) for k in range(4))
        moved = offset + self.row * row + self.item * item
        return self.f.gep(pointer(self.f, self.areas, area), moved, "i8")
