"""Object files as images: linked here as LLVM would, or left to LLVM where they hold other things.
"""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from arraylib.backends.cpu import elf, image, target
from arraylib.config import config

pytestmark = pytest.mark.skipif(
    target.current().triple.split("-")[0] != "x86_64" or sys.platform != "linux",
    reason="images are for x86-64 Linux")

# A table of pointers to functions and to data, constants, data that are written, a jump table, a
# call within the module, one of an imported function and one of libc.
MODULE = """
@numbers = internal constant [4 x i64] [i64 2, i64 3, i64 5, i64 7], align 64
@table = internal constant { ptr, ptr, ptr, i64 } { ptr @twice, ptr @arraylib_given,
  ptr getelementptr (i8, ptr @numbers, i64 16), i64 -9 }
@count = internal global i64 40
@other = internal global [300 x i64] zeroinitializer, align 64
@arraylib_word = external global i64
declare i64 @arraylib_given(i64)
declare i64 @labs(i64)
define internal i64 @twice(i64 %x) noinline { %y = add i64 %x, %x
  ret i64 %y }
define i64 @apply(i64 %which, i64 %x) {
  %place = getelementptr ptr, ptr @table, i64 %which
  %f = load ptr, ptr %place
  %y = call i64 %f(i64 %x)
  ret i64 %y }
define i64 @look() {
  %place = load ptr, ptr getelementptr ({ ptr, ptr, ptr, i64 }, ptr @table, i64 0, i32 2)
  %a = load i64, ptr %place
  %b = load i64, ptr getelementptr ({ ptr, ptr, ptr, i64 }, ptr @table, i64 0, i32 3)
  %c = call i64 @labs(i64 %b)
  %d = load i64, ptr @arraylib_word
  %e = add i64 %a, %c
  %f = add i64 %e, %d
  ret i64 %f }
define i64 @next(i64 %i) {
  %place = getelementptr i64, ptr @other, i64 %i
  %old = load i64, ptr %place
  %new = add i64 %old, 1
  store i64 %new, ptr %place
  %a = load i64, ptr @count
  %b = add i64 %a, %new
  store i64 %b, ptr @count
  ret i64 %b }
define i64 @choose(i64 %x) {
  switch i64 %x, label %none [ i64 0, label %a  i64 1, label %b  i64 2, label %c  i64 3, label %d
    i64 4, label %e  i64 5, label %a ]
a: %f = call i64 @twice(i64 100)
  ret i64 %f
b: call void @llvm.memset.p0.i64(ptr @other, i8 0, i64 2400, i1 0)
  ret i64 11
c: %g = call i64 @twice(i64 %x)
  ret i64 %g
d: %h = call i64 @labs(i64 -13)
  ret i64 %h
e: ret i64 14
none: ret i64 -1 }
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
"""
NAMES = ["apply", "look", "next", "choose"]
GIVEN = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(lambda x: x - 1000)
WORD = ctypes.c_int64(500)
IMPORTS = {"arraylib_given": ctypes.cast(GIVEN, ctypes.c_void_p).value,
           "arraylib_word": ctypes.addressof(WORD)}


def functions(places):
    kinds = {"apply": 2, "look": 0, "next": 1, "choose": 1}
    return {name: ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(places[name])
            for name, count in kinds.items()}


def answers(f):
    """What the functions say, in order; the state of `next` counts on."""
    return [f["apply"](0, 21), f["apply"](1, 5), f["look"](), f["next"](299), f["next"](299),
            f["next"](0), *map(f["choose"], range(-1, 8)), f["next"](299)]


EXPECTED = [42, -995, 5 + 9 + 500, 41, 43, 44, -1, 200, 11, 4, 13, 14, 200, -1, -1, 45]


def test_an_image_is_read_once_to_be_loaded(monkeypatch):
    made = [elf.image_of(target.compile_object(MODULE))] * 2
    read, times = image.read, []
    monkeypatch.setattr(image, "read", lambda content: times.append(1) or read(content))
    assert target.link(made, [], IMPORTS) == {}
    assert len(times) == 2


@pytest.mark.parametrize("quick", [False, True])
def test_an_image_does_what_llvm_linked(quick):
    content = target.compile_object(MODULE, quick=quick)
    made = elf.image_of(content)
    assert made is not None and image.is_image(made) and not image.is_image(content)
    assert target.loadable(made) == made == target.loadable(content)
    assert answers(functions(target._link_by_llvm([content], NAMES, IMPORTS))) == EXPECTED
    for _ in range(2):  # each has data of its own
        assert answers(functions(target.link([made], NAMES, IMPORTS))) == EXPECTED


def test_what_was_written_is_read():
    made = image.read(elf.image_of(target.compile_object(MODULE)))
    assert set(made.exports) == set(NAMES)
    assert set(made.symbols) <= {"arraylib_given", "arraylib_word", "labs", "memset"}
    assert made.fixed % image.PAGE == made.size % image.PAGE == 0
    assert made.fixed < made.size and len(made.content) < made.size - 2000  # zeros are not kept
    assert image.read(made.to_bytes()) == made


def test_code_is_not_writable_and_data_not_executable():
    place = target.link([elf.image_of(target.compile_object(MODULE))], NAMES, IMPORTS)["look"]
    with open("/proc/self/maps") as file:
        rows = [line.split() for line in file]
    spans = [(*(int(x, 16) for x in row[0].split("-")), row[1]) for row in rows]
    mode = next(mode for start, end, mode in spans if start <= place < end)
    assert mode == "r-xp"


LEFT_TO_LLVM = {
    "thread-local data": "@x = thread_local global i64 3\n"
                         "define i64 @f() { %y = load i64, ptr @x\n ret i64 %y }",
    "a start function": "@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] "
                        "[{ i32, ptr, ptr } { i32 1, ptr @f, ptr null }]\n"
                        "define void @f() { ret void }",
    "an alignment of more than a page": "@x = global i64 3, align 8192\n"
                                        "define ptr @f() { ret ptr @x }",
    "common symbols": "@x = common global i64 0\ndefine ptr @f() { ret ptr @x }",
    "what nobody has": "declare i64 @nobody_has_this()\n"
                       "define i64 @f() { %y = call i64 @nobody_has_this()\n ret i64 %y }",
}


@pytest.mark.parametrize("text", LEFT_TO_LLVM.values(), ids=LEFT_TO_LLVM)
def test_what_is_left_to_llvm(text):
    content = target.compile_object(text)
    assert elf.image_of(content) is None and target.loadable(content) == content


@pytest.mark.parametrize("processor", ["neon", "apple-m1"])
def test_other_processors_are_left_to_llvm(processor):
    text = "define i64 @f(i64 %x) { %y = mul i64 %x, %x\n ret i64 %y }"
    assert elf.image_of(target.compile_object(text, target.find(processor))) is None


def test_files_that_are_none():
    content = target.compile_object(MODULE)
    for broken in (b"", b"\x7fELF", content[:100], content[:-200], b"MZ" + content):
        assert elf.image_of(broken) is None


def test_given_names_and_lack_of_them():
    text = "declare i64 @given()\ndefine i64 @f() { %y = call i64 @given()\n ret i64 %y }"
    given = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 77)
    address = ctypes.cast(given, ctypes.c_void_p).value
    place = target.link([target.compile_object(text)], ["f"], {"given": address})["f"]
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(place)() == 77
    lacking = elf.image_of(target.compile_object(text.replace("given", "arraylib_given")))
    with pytest.raises(RuntimeError, match="arraylib_given"):
        target.link([lacking], ["f"])


PROGRAM = """
import sys
import numpy as np
import arraylib, arraylib.numpy as jnp
@arraylib.jit
def step(w, x):
    def loss(w):
        h, total = arraylib.lax.scan(lambda h, x: (jnp.tanh(h @ w + x), h.sum()), x[0], x)
        return (jnp.sort(h, -1) * total.mean()).sum()
    return arraylib.value_and_grad(loss)(w)
w = np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32)
out = step(w, np.ones((7, 3, 40), np.float32))
out = step(w, np.ones((7, 3, 40), np.float32))
print(float(out[0]), float(abs(out[1]).sum()), 'llvmlite.binding' in sys.modules,
      'arraylib.backends.lower' in sys.modules, 'arraylib.backends.cpu.emitter' in sys.modules,
      step.compiles()[0].found)
print(step.lower(w, np.ones((7, 3, 40), np.float32)).compile().text("plan")[:60], file=sys.stderr)
"""


def test_a_second_process_needs_neither_llvm_nor_what_writes_code(tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    environment = {**os.environ, "PYTHONPATH": root, "ARRAYLIB_CACHE_DIR": str(tmp_path)}

    def run():
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True,
                              timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
        assert "words" in done.stderr or "arena" in done.stderr, done.stderr
        return done.stdout.split()

    first, second = run(), run()
    assert first[2:] == ["True", "True", "True", "nowhere"]
    assert second == [*first[:2], "False", "False", "False", "disk"]


def test_a_library_that_was_evicted_is_made_again(tmp_path):
    """The program is on disk, and what it calls is not."""
    code = (PROGRAM + "print(len(list(arraylib.cache.folder().iterdir())))").replace(
        "print(step.lower", "0 and print(step.lower")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    environment = {**os.environ, "PYTHONPATH": root, "ARRAYLIB_CACHE_DIR": str(tmp_path)}

    def run():
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                              timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    first = run()
    for path in (tmp_path / "objects").iterdir():
        if len(path.stem) < 80:  # a program's key has two parts
            path.unlink()
    again = run()
    assert again[:2] == first[:2] and again[5] == "disk" and again[6] == first[6]


def test_the_machine_is_asked_once(tmp_path, monkeypatch):
    from arraylib.backends.cpu import processor

    with config.using(cache_dir=str(tmp_path), cache=True):
        asked = processor.host.__wrapped__()
        monkeypatch.setattr(processor, "_asked", lambda: pytest.fail("asked again"))
        assert processor.host.__wrapped__() == asked
        monkeypatch.undo()
        evidence = processor._evidence()
        assert b"flags" in evidence
        monkeypatch.setattr(processor, "_evidence", lambda: evidence + b"other")
        counted = []
        monkeypatch.setattr(processor, "_asked", lambda: counted.append(1) or asked)
        assert processor.host.__wrapped__() == asked and counted == [1]
        assert np.size(processor.host().features) > 5
