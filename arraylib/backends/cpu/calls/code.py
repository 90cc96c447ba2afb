"""The native code of calls, as LLVM IR on CPython's functions.

`arraylib_call` is what Python enters a jitted function by (the vectorcall protocol). It tries the
function's entries in turn, brings the one that fits to the front and serves the call; without one,
the call goes to Python. `arraylib_array_dealloc` is where arrays end. All of it runs under Python's
lock, which only a program's own code is run without. No layout of CPython's objects is known here
but the header: everything else goes through exported functions.
"""

from __future__ import annotations

from collections.abc import Callable

from arraylib.backends.cpu.calls import words as w
from arraylib.backends.cpu.calls.build import define_build
from arraylib.backends.cpu.calls.donate import define_donate
from arraylib.backends.cpu.calls.guard import PYTHON_OBJECTS, define_walk, walk
from arraylib.backends.cpu.calls.layout import (
    COUNT,
    ENTRIES,
    HOME,
    OTHERWISE,
    OWNER,
    PLACE,
    TRACKED,
    TYPE,
    WEAK,
)
from arraylib.backends.cpu.calls.names import (
    ARRAY,
    BUILDER,
    BUILDING,
    CALL,
    DEALLOC,
    EAGER,
    EPOCH,
    EXAMPLE,
    HOMES,
    LARGE,
    NUMPY,
    OBJECTS,
    REFILL,
    SLOW,
)
from arraylib.backends.cpu.calls.plain import define_plain
from arraylib.backends.cpu.calls.python import (
    ask,
    at,
    class_of,
    do,
    field,
    get,
    is_null,
    not_null,
    put,
    refer,
    room,
    unrefer,
)
from arraylib.backends.cpu.calls.words import Block, Entry, Home, Result
from arraylib.backends.cpu.emitter import Function, Module, Reg
from arraylib.backends.cpu.interrupt_state import SETTLE, WORD

_PYTHON = ("_Py_NoneStruct", *PYTHON_OBJECTS)

_SPARES = 512  # dead Arrays that are kept to be used again
_MISS, _FAILURE = "miss", "failure"  # addresses that no object has
_DISTURBED = "disturbed"  # how many times Python code may have run in the middle of a call


def module(empty: Module) -> Module:
    """Fill an empty module with the code of calls."""
    for name in (*OBJECTS, *_PYTHON, WORD):
        empty.globals[name] = f"@{name} = external global i64"
    empty.add_global("spare", f"[{Home.SIZE} x i64]", "zeroinitializer")  # dead Arrays
    empty.add_global("homes", f"[{w.HOMES * Home.SIZE} x i64]", "zeroinitializer")
    for name in (_MISS, _FAILURE, _DISTURBED):
        empty.add_global(name, "i64", "0")
    _define_memory(empty)
    _define_make(empty)
    _define_dealloc(empty)
    define_walk(empty, ARRAY, NUMPY)
    define_build(empty)
    _define_allocate(empty)
    define_donate(empty, NUMPY)
    _define_run(empty)
    _define_match(empty)
    _define_serve(empty)
    define_plain(empty, _MISS, _to_front)
    _define_slow(empty)
    _define_call(empty)
    _define_example(empty)
    return empty


# Memory and arrays

def _define_memory(module: Module) -> None:
    """`take` a block from a free list, 0 if there is no memory; `give` it back."""
    f = Function(module, "take", [("ptr", "home")], result="ptr")
    home, = f.args
    first = get(f, home, Home.FIRST)

    def refill() -> None:
        _disturb(f)
        f.ret(ask(f, REFILL, home))

    f.branch(is_null(f, first), refill)
    put(f, get(f, first, 0), home, Home.FIRST)
    put(f, get(f, home, Home.COUNT, "i64") - 1, home, Home.COUNT)
    f.ret(first)

    f = Function(module, "give", [("ptr", "home"), ("ptr", "place")])
    home, place = f.args
    put(f, get(f, home, Home.FIRST), place, 0)
    put(f, place, home, Home.FIRST)
    put(f, get(f, home, Home.COUNT, "i64") + 1, home, Home.COUNT)
    f.ret()

    f = Function(module, HOMES, [], result="ptr", internal=False)
    f.ret(f.address("homes"))


def _disturb(f: Function) -> None:
    """Note that Python code may run now: a finalizer, say, that changes the arguments' containers.
    """
    count = f.address(_DISTURBED)
    f.store(f.load(count, "i64") + 1, count)


def _define_make(module: Module) -> None:
    """`make`: an Array of these parts, or null; it takes over the reference to the owner.

    Objects that died are used again. The collector of cycles need not know of them.
    """
    f = Function(module, "make", [(kind, name) for kind, name in (
        ("ptr", "type"), ("ptr", "place"), ("ptr", "home"), ("ptr", "owner"))], result="ptr")
    type, place, home, owner = f.args
    spare = f.address("spare")
    first = get(f, spare, Home.FIRST)

    def again() -> list[Reg]:
        put(f, field(f, first, PLACE), spare, Home.FIRST)
        put(f, get(f, spare, Home.COUNT, "i64") - 1, spare, Home.COUNT)
        f.store(f.const("i64", 1), at(f, first, COUNT))
        return [first]

    def fresh() -> list[Reg]:
        _disturb(f)
        return [ask(f, "_PyObject_GC_New", f.address(ARRAY))]

    again_or_null, = f.conditional(not_null(f, first), again, [first])
    array, = f.conditional(is_null(f, first), fresh, [again_or_null])
    f.branch(is_null(f, array), lambda: f.ret(array))
    refer(f, type)
    for offset, value in ((PLACE, place), (HOME, home), (TYPE, type), (OWNER, owner),
                          (WEAK, f.const("ptr", 0))):
        f.store(value, at(f, array, offset))
    f.ret(array)


def _define_dealloc(module: Module) -> None:
    f = Function(module, DEALLOC, [("ptr", "self")], internal=False)
    array, = f.args
    f.branch(not_null(f, field(f, array, TRACKED)), lambda: do(f, "PyObject_GC_UnTrack", array))
    f.branch(not_null(f, field(f, array, WEAK)),
             lambda: do(f, "PyObject_ClearWeakRefs", array))
    home = field(f, array, HOME)
    f.branch(not_null(f, home), lambda: do(f, "give", home, field(f, array, PLACE)))
    owner, type = field(f, array, OWNER), field(f, array, TYPE)
    none = f.compare("eq", owner, f.address("_Py_NoneStruct"))
    f.branch(not_null(f, owner), lambda: f.branch(
        none, lambda: do(f, "Py_DecRef", owner), lambda: unrefer(f, owner)))
    f.branch(not_null(f, type), lambda: unrefer(f, type))
    cls = class_of(f, array)
    spare = f.address("spare")
    spares = get(f, spare, Home.COUNT, "i64")

    def keep() -> None:
        f.store(get(f, spare, Home.FIRST), at(f, array, PLACE))
        put(f, array, spare, Home.FIRST)
        put(f, spares + 1, spare, Home.COUNT)
        f.ret()

    f.branch(f.compare("eq", cls, f.address(ARRAY)) & (spares < _SPARES), keep)
    do(f, "PyObject_GC_Del", array)
    do(f, "Py_DecRef", cls)
    f.ret()


# One call of a program

def _define_allocate(module: Module) -> None:
    """`allocate`: the blocks and results of a call; false if there is no memory for them.

    Blocks that no result owns go to `owners`; of all, the addresses go to `places`.
    """
    f = Function(module, "allocate", [("ptr", x) for x in (
        "program", "places", "owners", "results")], result="i1")
    entry, places, owners, results = f.args
    no = f.const("i1", 0)

    def large(block: Reg, place: Reg, number: Reg) -> None:
        _disturb(f)
        owner = ask(f, LARGE, get(f, block, Block.NBYTES, "i64"), place)
        put(f, owner, owners, number)
        f.branch(is_null(f, get(f, place, 0)), lambda: f.ret(no))

    def small(block: Reg, place: Reg, number: Reg, home: Reg) -> None:
        memory = ask(f, "take", home)
        f.branch(is_null(f, memory), lambda: f.ret(no))
        put(f, memory, place, 0)
        array = ask(f, "make", get(f, block, Block.TYPE), memory, home, f.const("ptr", 0))

        def fail() -> None:
            do(f, "give", home, memory)
            do(f, "PyErr_Clear")
            f.ret(no)

        f.branch(is_null(f, array), fail)
        result = get(f, block, Block.RESULT, "i64")
        f.branch(result < 0, lambda: put(f, array, owners, number),
                 lambda: put(f, array, results, result))

    def one_block(number: Reg, _: list[Reg]) -> None:
        block = f.gep(get(f, entry, Entry.BLOCKS), number * Block.SIZE, "i64")
        place = f.gep(places, number, "i64")
        home = get(f, block, Block.HOME)
        f.branch(is_null(f, home), lambda: large(block, place, number),
                 lambda: small(block, place, number, home))

    def in_block(row: Reg, number: Reg, block: Reg) -> None:
        place = f.gep(get(f, places, block), get(f, row, Result.OFFSET, "i64"), "i8")
        owner = get(f, owners, block)
        refer(f, owner)
        array = ask(f, "make", get(f, row, Result.TYPE), place, f.const("ptr", 0), owner)

        def fail() -> None:
            unrefer(f, owner)
            do(f, "PyErr_Clear")
            f.ret(no)

        f.branch(is_null(f, array), fail)
        put(f, array, results, number)

    def one_result(number: Reg, _: list[Reg]) -> None:
        row = f.gep(get(f, entry, Entry.RESULTS), number * Result.SIZE, "i64")
        block = get(f, row, Result.BLOCK, "i64")
        f.branch(block >= 0, lambda: in_block(row, number, block))

    f.loop(0, get(f, entry, Entry.BLOCK_COUNT, "i64"), 1, [], one_block)
    f.loop(0, get(f, entry, Entry.RESULT_COUNT, "i64"), 1, [], one_result)
    f.ret(f.const("i1", 1))


def _define_run(module: Module) -> None:
    """`run`: the program itself, without Python's lock where the entry says so.

    It is true if an exception stopped the program, which is the present one then.
    """
    f = Function(module, "run", [("ptr", "program"), ("ptr", "words")], result="i1")
    entry, words = f.args
    code = get(f, entry, Entry.CODE)

    def without_lock() -> None:
        thread = ask(f, "PyEval_SaveThread")
        do(f, code, words)
        do(f, "PyEval_RestoreThread", thread)

    release = f.compare("ne", get(f, entry, Entry.FLAGS, "i64") & w.RELEASE, 0)
    f.branch(release, without_lock, lambda: do(f, code, words))
    f.branch(f.compare("ne", f.load(f.address(WORD), "i64"), 0),
             lambda: f.ret(ask(f, SETTLE, result="i1")))
    f.ret(f.const("i1", 0))


def _define_match(module: Module) -> None:
    """`match`: whether the arguments are those of the guard, and all captured arrays are there.

    It notes the addresses of both, and the leaves.
    """
    f = Function(module, "match", [("ptr", x) for x in (
        "program", "args", "words", "leaves", "captured")], result="i1")
    entry, args, words, leaves, captured = f.args

    def miss() -> None:
        f.ret(f.const("i1", 0))

    def argument(number: Reg, position: list[Reg]) -> list[Reg]:
        return [walk(f, get(f, args, number), position[0], words, leaves, ARRAY, miss)]

    def capture(number: Reg, _: list[Reg]) -> None:
        place = field(f, get(f, get(f, entry, Entry.CAPTURED), number), PLACE)
        f.branch(is_null(f, place), miss)
        put(f, place, captured, number)

    f.loop(0, get(f, entry, Entry.ARGUMENTS, "i64"), 1, [get(f, entry, Entry.GUARD)], argument)
    f.loop(0, get(f, entry, Entry.CAPTURED_COUNT, "i64"), 1, [], capture)
    f.ret(f.const("i1", 1))


def _define_serve(module: Module) -> None:
    """`serve`: the result of a call by the entry at `*link`, null for an error.

    Also `miss` if the entry does not fit and nothing has happened, or `failure`: leave it to
    Python. An entry that fits comes to the front of the list, which starts at `*front`.
    """
    f = Function(module, "serve", [("ptr", x) for x in ("link", "front", "args", "keywords")],
                 result="ptr")
    link, front, args, keywords = f.args
    entry = get(f, link, 0)

    def other_names() -> None:
        other = ask(f, "other_names", get(f, entry, Entry.KEYWORDS), keywords, result="i1")
        f.branch(other, lambda: f.ret(f.address(_MISS)))

    f.branch(not_null(f, keywords), other_names)
    call = _Call(f, entry, args)
    keeper = get(f, entry, Entry.KEEPER)
    f.branch(f.compare("eq", call.ask("match", *call.guarded), 0),
             lambda: f.ret(f.address(_MISS)))
    _to_front(f, link, front, entry)

    def given() -> None:
        leaf = get(f, call.leaves, 0)
        refer(f, leaf)
        f.ret(leaf)

    f.branch(f.compare("ne", get(f, entry, Entry.FLAGS, "i64") & w.GIVEN, 0), given)
    # From here on Python code may run (finalizers, for a start) and drop the entry.
    refer(f, keeper)

    def give_up() -> None:
        call.drop()
        unrefer(f, keeper)
        f.ret(f.address(_FAILURE))

    def leave() -> None:
        _drop(f, *call.results)
        unrefer(f, keeper)
        f.ret(f.const("ptr", 0))

    _get_ready(call, give_up)
    held, = f.conditional(f.compare("ne", get(f, entry, Entry.FLAGS, "i64") & w.HOLD, 0),
                          lambda: [call.leaf_count], [f.const("i64", 0)])
    f.loop(0, held, 1, [], lambda i, _: refer(f, get(f, call.leaves, i)))
    stopped = call.ask("run", call.words)
    _drop(f, *call.owners)
    f.loop(0, held, 1, [], lambda i, _: unrefer(f, get(f, call.leaves, i)))
    f.branch(stopped, leave)
    position = f.alloca("ptr")
    put(f, get(f, entry, Entry.OUTPUT), position, 0)
    built = ask(f, "build", position, call.results[0])
    f.branch(is_null(f, built), lambda: _drop(f, *call.results))
    unrefer(f, keeper)
    f.ret(built)


class _Call:
    """What a call needs on the stack; objects that it owns, with their number."""

    def __init__(self, f: Function, entry: Reg, args: Reg) -> None:
        def count(field: Entry) -> Reg:
            return get(f, entry, field, "i64")

        self.f, self.entry = f, entry
        self.words = room(f, count(Entry.WORDS))
        self.leaf_count, self.block_count = count(Entry.LEAVES), count(Entry.BLOCK_COUNT)
        self.donated = count(Entry.DONATION_COUNT)
        numbers = room(f, self.leaf_count * (w.NUMBER_WORDS + 1))
        self.leaves = f.gep(numbers, self.leaf_count * w.NUMBER_WORDS, "i64")
        captured = f.gep(self.words, self.leaf_count, "i64")
        self.places = f.gep(captured, count(Entry.CAPTURED_COUNT), "i64")
        self.guarded = args, self.words, self.leaves, captured
        self.owners, self.results, self.takers, self.marks = (
            (room(f, number), number) for number in (
                self.block_count + self.donated, count(Entry.RESULT_COUNT), self.donated,
                self.donated))

    def ask(self, name: str, *parts: Reg) -> Reg:
        """What a function of the entry answers: yes or no."""
        return ask(self.f, name, self.entry, *parts, result="i1")

    def drop(self) -> None:
        """Give up what the call owns."""
        for objects in (self.results, self.owners, self.marks):
            _drop(self.f, *objects)


def _get_ready(call: _Call, give_up: Callable[[], None]) -> None:
    """Memory, results and the last words, after which the program can run."""
    f = call.f
    takers, marks = call.takers[0], call.marks[0]

    def insist(name: str, *parts: Reg) -> None:
        f.branch(f.compare("eq", call.ask(name, *parts), 0), give_up)

    def prepare() -> None:
        spares = f.gep(call.owners[0], call.block_count, "i64")
        insist("prepare", call.results[0], spares, takers, marks)
        _disturb(f)

    for objects in (call.owners, call.results, call.marks):
        _clear(f, *objects)
    before = f.load(f.address(_DISTURBED), "i64")
    insist("allocate", call.places, call.owners[0], call.results[0])
    f.branch(call.donated > 0, prepare)
    f.branch(f.compare("ne", f.load(f.address(_DISTURBED), "i64"), before),
             lambda: insist("match", *call.guarded))
    f.branch(get(f, call.entry, Entry.CONVERSION_COUNT, "i64") > 0,
             lambda: insist("convert", call.words, call.places))
    f.branch(call.donated > 0, lambda: insist("hand_over", call.leaves, takers, marks))
    own = get(f, call.entry, Entry.OWN_BLOCKS, "i64")
    put(f, get(f, call.entry, Entry.CONTEXT), call.places, own)


def _to_front(f: Function, link: Reg, front: Reg, entry: Reg) -> None:
    """Bring the entry at `*link` to the front of the list."""
    def move() -> None:
        put(f, get(f, entry, Entry.NEXT), link, 0)
        put(f, get(f, front, 0), entry, Entry.NEXT)
        put(f, entry, front, 0)

    f.branch(f.compare("ne", link, front), move)


def _clear(f: Function, objects: Reg, count: Reg) -> None:
    """Fill with nulls."""
    f.loop(0, count, 1, [], lambda i, _: put(f, f.const("ptr", 0), objects, i))


def _drop(f: Function, objects: Reg, count: Reg) -> None:
    """Give up references, of which some may be null."""
    def one(number: Reg, _: list[Reg]) -> None:
        value = get(f, objects, number)
        f.branch(not_null(f, value), lambda: do(f, "Py_DecRef", value))

    f.loop(0, count, 1, [], one)


# The call itself

def _define_slow(module: Module) -> None:
    """`slow`: the call in Python, by the object's own function or by that of its class."""
    f = Function(module, "slow", [("ptr", "self"), ("ptr", "args"), ("i64", "count"),
                                  ("ptr", "keywords")], result="ptr")
    function, args, count, keywords = f.args
    own = field(f, function, OTHERWISE)
    f.branch(not_null(f, own),
             lambda: f.ret(ask(f, "PyObject_Vectorcall", own, args, count, keywords)))
    size, = f.conditional(not_null(f, keywords), lambda: [
        count + ask(f, "PyTuple_Size", keywords, result="i64")], [count])
    longer = room(f, size + 1)
    put(f, function, longer, 0)
    f.loop(0, size, 1, [], lambda i, _: put(f, get(f, args, i), longer, i + 1))
    f.ret(ask(f, "PyObject_Vectorcall", f.address(SLOW), longer, count + 1, keywords))


def _define_call(module: Module) -> None:
    f = Function(module, CALL, [("ptr", "self"), ("ptr", "args"), ("i64", "flags"),
                                ("ptr", "keywords")], result="ptr", internal=False)
    function, args, flags, keywords = f.args
    count = flags & 0x7FFF_FFFF_FFFF_FFFF  # the top bit promises room before the arguments

    def slow() -> None:
        f.ret(ask(f, "slow", function, args, count, keywords))

    epoch = f.load(f.address(EPOCH), "i64")
    front = at(f, function, ENTRIES)
    f.branch(is_null(f, get(f, front, 0)), slow)
    _if_building(f, slow)

    positional = is_null(f, keywords)

    def finish(found: Reg) -> None:
        f.branch(f.compare("eq", found, f.address(_FAILURE)), slow)
        f.branch(f.compare("ne", found, f.address(_MISS)), lambda: f.ret(found))

    def serve(link: Reg) -> None:
        plain = f.compare("ne", get(f, get(f, link, 0), Entry.FLAGS, "i64") & w.PLAIN, 0)
        f.branch(plain, lambda: finish(ask(f, "plain", link, front, args)),
                 lambda: finish(ask(f, "serve", link, front, args, keywords)))

    def attempt(carried: list[Reg]) -> list[Reg]:
        link, entry = carried
        fits = f.compare("eq", get(f, entry, Entry.EPOCH, "i64"), epoch) & f.compare(
            "eq", get(f, entry, Entry.COUNT, "i64"), count) & f.compare(
            "eq", is_null(f, get(f, entry, Entry.KEYWORDS)), positional)
        f.branch(fits, lambda: serve(link))
        following = f.gep(entry, Entry.NEXT, "i64")
        return [following, get(f, following, 0)]

    f.while_loop([front, get(f, front, 0)], lambda carried: not_null(f, carried[1]), attempt)
    slow()


def _if_building(f: Function, then: Callable[[], None]) -> None:
    """Run `then` where a graph is being built: the context's builder is not the eager one.

    The context need not be asked where there is no builder at all.
    """
    f.branch(f.compare("ne", f.load(f.address(BUILDING), "i64"), 0),
             lambda: _if_building_here(f, then))


def _if_building_here(f: Function, then: Callable[[], None]) -> None:
    builder = f.alloca("ptr")
    f.call("PyContextVar_Get", "i32", [f.address(BUILDER), f.const("ptr", 0), builder])
    found = f.load(builder, "ptr")

    def some() -> None:
        unrefer(f, found)  # the builder itself stays: the context has it
        f.branch(f.compare("ne", found, f.address(EAGER)), then)

    f.branch(not_null(f, found), some)


def _define_example(module: Module) -> None:
    """`arraylib_example`: a program for the self-test, y = x + 1 on one 32-bit integer."""
    f = Function(module, EXAMPLE, [("ptr", "words")], internal=False)
    words, = f.args
    f.store(f.load(get(f, words, 0), "i32") + 1, get(f, words, 1))
    f.ret()
