"""The tables that native calls read, as 64-bit words: their fields, by number.

A *guard* recognises the arguments of a call and finds their leaves; an *output* program builds
what is returned. Both are trees written in order, a node its three words and then its children:

    LEAF  type  slot          an Array of this type whose address becomes word `slot` of the call
    LEAF  result 0            (output) this result
    SEQUENCE count class      a tuple or namedtuple of exactly this class; children follow
    LIST  count class         the same for lists
    DICT  count class         a dict; each child comes after a word with its key, in dict order
    TABLE count shape         the same where the table of a dict is likely to have this shape
    DICT  count template      (output) a copy of this dict, with other values
    FILL  count template      (output) the same, where each child comes after the place of its value
    FIELDS count class        an instance of exactly this class; each child comes after the name of
                              an attribute
    MAKE  count (class, names)  (output) what the class makes of the children by these names
    SAME  object 0            this very object
    EQUAL value object        this object, or a Python int of this value
    EQUAL_FLOAT bits object   the same for a float with these bits
    SLICE 3     class         a slice; its start, stop and step follow
    NDARRAY dtype slot        an array of NumPy's of this dtype, dense; behind the node stand the
                              number of its axes and their sizes
    SCALAR class slot         a scalar of exactly this class of NumPy's
    PLACES type slot          an Array of this type, of integers from a least one to below another;
                              these stand behind the node, and how many there are of how many bits
    NUMBERS 0     slot        a Python number, converted, whose address becomes word `slot`
    INDEX size    slot        a Python int that is a place on an axis of this size, counted from
                              either end; as a 64-bit number, counted from the start
    CALL  count function      (output) what the function makes of a tuple of the children
"""

from __future__ import annotations

from enum import IntEnum

LEAF, SEQUENCE, LIST, DICT, SAME, CALL, FILL, TABLE, FIELDS, MAKE, SLICE, EQUAL, EQUAL_FLOAT, \
    NDARRAY, SCALAR, PLACES = range(16)
NODE_WORDS = 3

# Python numbers as operands: the kinds of nodes by class and by the dtype that they are given.
FIRST_NUMBER = PLACES + 1
NUMBERS = {kind: number for number, kind in enumerate((
    ("float", "float32"), ("float", "float64"), ("int", "float32"), ("int", "float64"),
    ("int", "int32"), ("int", "int64"), ("bool", "bool"), ("complex", "complex64"),
    ("complex", "complex128")), FIRST_NUMBER)}
NUMBER_WORDS = 2  # of a converted number; they stand before the leaves, those of slot 0 last
INDEX = FIRST_NUMBER + len(NUMBERS)


class Entry(IntEnum):
    """One program as a jitted function knows it, behind the guard for its arguments."""

    NEXT = 0           # the entry to try after this one; 0 for the last
    EPOCH = 1          # of the settings that it was made under
    COUNT = 2          # positional arguments
    GUARD = 3          # one tree for each argument
    CODE = 4           # void (words)
    CONTEXT = 5        # the last of the words
    WORDS = 6          # how many: leaves, captured arrays, blocks, context
    LEAVES = 7
    CAPTURED = 8       # addresses of Arrays
    CAPTURED_COUNT = 9
    BLOCKS = 10        # rows of Block
    BLOCK_COUNT = 11
    RESULTS = 12       # rows of Result
    RESULT_COUNT = 13
    OUTPUT = 14        # one tree
    FLAGS = 15
    KEEPER = 16        # a Python object that keeps all of this alive
    ARGUMENTS = 17     # positional and keyword
    KEYWORDS = 18      # their number, then their names in order; 0 where there are none
    DONATIONS = 19     # rows of Donation
    DONATION_COUNT = 20
    KEPT = 21          # numbers of the leaves that stay the caller's, where others do not
    KEPT_COUNT = 22
    CONVERSIONS = 23   # rows of Conversion
    CONVERSION_COUNT = 24
    OWN_BLOCKS = 25    # how many the program is told of; the others are for conversions
    SIZE = 26


class Donation(IntEnum):
    """A leaf whose memory the call takes over."""

    LEAF = 0
    RESULT = 1         # the number of the result that gets the memory, or -1
    TYPE = 2           # of that result, or of the leaf
    GONE = 3           # Python objects: of these two, and of where the call was, a tuple is made
    NUMBER = 4         # by which later uses of the leaf are refused
    SIZE = 5


class Block(IntEnum):
    """Memory that a call allocates. It belongs to the one result that is in it, or to a holder."""

    NBYTES = 0
    HOME = 1           # its free list; 0 where it is too large for one
    RESULT = 2         # the number of the result that owns it, or -1
    TYPE = 3           # of that result, or of the holder
    SIZE = 4


class Conversion(IntEnum):
    """A leaf that the program reads with other numbers: see `ndarrays.py`."""

    SLOT = 0
    BLOCK = 1          # where they go
    KIND = 2
    COUNT = 3          # of numbers
    SIZE = 4


class Result(IntEnum):
    """A result that is in a block which it does not own."""

    TYPE = 0
    BLOCK = 1          # -1: the result owns its memory and is made with it
    OFFSET = 2
    SIZE = 3


class Home(IntEnum):
    """A free list of blocks of one size."""

    FIRST = 0          # a free block, which holds the address of the next
    COUNT = 1
    NBYTES = 2         # of each block
    SIZE = 3


HOMES = 256            # classes are an eighth of a power of two apart

# Flags of an entry.
RELEASE = 1            # let other Python threads run meanwhile
HOLD = 2               # leaves come out of containers that others may then change
PLAIN = 4              # arrays and numbers are the arguments; there is one result, in one block
GIVEN = 8              # the one leaf is returned as it is, and nothing runs
PLAIN_ARGUMENTS = 8    # of such a call at most
