"""Memory for array data: a caching allocator; its hot path is one look-up and one list pop.

First touch of fresh memory costs several times what using it again costs, so blocks are kept when
they are released and handed out again to requests of the same size class. Classes are an eighth of
a power of two apart, so at most one byte in eight is padding.

Blocks of 2 MiB and more are mapped one by one, aligned for huge pages, and go back to the system
when the cached ones exceed a limit. Smaller blocks are carved from mapped slabs and never go back.
All blocks are aligned to 64 bytes.

There is no lock: lists are the only shared state, `list.pop` and `list.append` are atomic, and
whoever popped an address owns it. A finalizer that runs in the middle of any of these functions
(the garbage collector may start one anywhere) may therefore release blocks safely.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import mmap
import os
import sys
from collections.abc import Callable
from typing import TypeAlias

from arraylib.backends.cpu.machine import memory_bytes
from arraylib.config import config
from arraylib.errors import OutOfMemoryError, mistake
from arraylib.record import record

ALIGNMENT = 64
HUGE_PAGE = 2 << 20
_SLAB_BYTES = 4 * HUGE_PAGE
_CARVE_BYTES = 64 << 10      # how much of a slab one miss of a small class turns into blocks
_MEMO_ENTRIES = 1 << 16      # sizes remembered before the memo starts afresh
_LONGEST_LIST = 1 << 10      # of mappings, before they are summed up
_MADV_HUGEPAGE = 14


@record
class Stats:
    """Bytes obtained from the system, used by callers, and cached; calls to the system."""

    mapped: int
    used: int
    cached: int
    maps: int
    unmaps: int


_Total: TypeAlias = tuple[int, int]  # bytes, and in how many mappings


def _total(entries: list[_Total]) -> _Total:
    """The sum of all entries, which one entry replaces when there are many."""
    if len(entries) > _LONGEST_LIST:
        taken = []
        with contextlib.suppress(IndexError):  # where another thread is at it as well
            for _ in range(_LONGEST_LIST):
                taken.append(entries.pop())
        entries.append((sum(size for size, _ in taken), sum(count for _, count in taken)))
    found = list(entries)
    return sum(size for size, _ in found), sum(count for _, count in found)


class Allocator:
    """Free lists by size class over memory mapped from the system; see the module's docstring."""

    __slots__ = ("_by_size", "_classes", "_elsewhere", "_mapped", "_mapped_from", "_slabs",
                 "_unmapped", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit                             # bytes of whole mappings kept when free
        self._elsewhere: list[Callable[[], int]] = []  # bytes in others' free lists
        self._mapped_from = HUGE_PAGE * 15 // 16 + 1   # requests from here on are mappings
        self._classes: dict[int, list[int]] = {}       # class size -> free addresses
        self._by_size: dict[int, list[int]] = {}       # requested size -> its class's list
        self._slabs: list[tuple[int, int]] = []        # (start, end) not carved yet
        self._mapped: list[_Total] = []                # of all mappings ever made,
        self._unmapped: list[_Total] = []              # and of those given back

    def allocate(self, nbytes: int) -> int:
        """Address of an uninitialised block of at least `nbytes` bytes; raises MemoryError."""
        try:
            return self._by_size[nbytes].pop()
        except (KeyError, IndexError):
            return self._miss(nbytes)

    def release(self, address: int, nbytes: int) -> None:
        """Take back a block; `nbytes` must be what it was allocated with."""
        try:
            self._by_size[nbytes].append(address)
        except KeyError:
            self._free_list(nbytes).append(address)
        if nbytes >= self._mapped_from:
            self._shrink(self.limit)

    def home(self, nbytes: int) -> Home:
        """Where a block of this size goes: `home.append(address)` is `release`, only faster."""
        if nbytes >= self._mapped_from:
            return _Mapped(self, nbytes)
        return self._by_size.get(nbytes) or self._free_list(nbytes)

    def trim(self) -> None:
        """Give every cached block of 2 MiB and more back to the system."""
        self._shrink(0)

    def also_cached(self, count: Callable[[], int]) -> None:
        """Let `stats` know of somebody who keeps free lists of blocks: `count()` bytes."""
        self._elsewhere.append(count)

    def stats(self) -> Stats:
        """How much memory is mapped, used and cached at this moment."""
        (mapped, maps), (unmapped, unmaps) = _total(self._mapped), _total(self._unmapped)
        mapped -= unmapped
        cached = sum(end - start for start, end in list(self._slabs))
        cached += sum(size * len(free) for size, free in list(self._classes.items()))
        cached += sum(count() for count in self._elsewhere)
        return Stats(mapped, mapped - cached, cached, maps, unmaps)

    def _free_list(self, nbytes: int) -> list[int]:
        """The free list of the class that serves `nbytes`, remembered for the next request."""
        if len(self._by_size) >= _MEMO_ENTRIES:
            self._by_size.clear()
        free = self._classes.setdefault(class_size(nbytes), [])
        return self._by_size.setdefault(nbytes, free)

    def _miss(self, nbytes: int) -> int:
        size = class_size(nbytes)
        free = self._free_list(nbytes)
        while True:
            try:
                return free.pop()   # the size may be new to the memo while its class has blocks
            except IndexError:
                if size >= HUGE_PAGE:
                    return self._map(size)
                self._carve(size, free)

    def _carve(self, size: int, free: list[int]) -> None:
        """Turn some of a slab into free blocks of one class; what is left stays a slab."""
        try:
            start, end = self._slabs.pop()
        except IndexError:
            start = self._map(_SLAB_BYTES)
            end = start + _SLAB_BYTES
        count = min(max(1, _CARVE_BYTES // size), (end - start) // size)
        free.extend(start + i * size for i in reversed(range(count)))
        start += count * size
        if count == 0:
            self._give_out_rest(start, end)
        elif start < end:
            self._slabs.append((start, end))

    def _give_out_rest(self, start: int, end: int) -> None:
        """Turn the end of a slab, too short for the class in need, into blocks of smaller ones."""
        while start < end:
            size = largest_class_within(end - start)
            self._classes.setdefault(size, []).append(start)
            start += size

    def _map(self, size: int) -> int:
        self._check(size)
        try:
            address = map_pages(size)
        except MemoryError:
            self.trim()
            address = map_pages(size)
        self._mapped.append((size, 1))
        return address

    def room(self) -> int:
        """The bytes that can still be mapped, once what is cached in mappings has gone back."""
        large = sum(size * len(free) for size, free in list(self._classes.items())
                    if size >= HUGE_PAGE)
        return limit() - self.stats().mapped + large

    def _check(self, size: int) -> None:
        """OutOfMemoryError if so much more would be above the limit, with nothing cached."""
        most = limit()
        if self.stats().mapped + size <= most:
            return
        self.trim()
        found = self.stats()
        if found.mapped + size > most:
            raise mistake(
                OutOfMemoryError, "memory", f"{size:,} bytes are asked for, but {found.mapped:,} "
                f"of {most:,} are in use", hint="delete arrays, donate arguments "
                "(jit(donate_argnums=...)), or raise config.memory_limit")

    def _shrink(self, limit: int) -> None:
        """Unmap the longest unused blocks of the fullest classes until `limit` bytes are cached."""
        large = [(size, free) for size, free in list(self._classes.items()) if size >= HUGE_PAGE]
        cached = sum(size * len(free) for size, free in large)
        while cached > limit:
            size, free = max(large, key=lambda item: item[0] * len(item[1]))
            try:
                address = free.pop(0)
            except IndexError:
                return   # another thread took the last one
            unmap_pages(address, size)
            self._unmapped.append((size, 1))
            cached -= size


class _Mapped:
    """The home of large blocks, which may go back to the system."""

    __slots__ = ("_allocator", "_nbytes")

    def __init__(self, allocator: Allocator, nbytes: int) -> None:
        self._allocator, self._nbytes = allocator, nbytes

    def append(self, address: int) -> None:
        self._allocator.release(address, self._nbytes)


Home: TypeAlias = list[int] | _Mapped


def class_size(nbytes: int) -> int:
    """Bytes of the block that serves a request: steps of an eighth of the power of two below."""
    if nbytes <= 8 * ALIGNMENT:
        return max(ALIGNMENT, -(-nbytes // ALIGNMENT) * ALIGNMENT)
    step = 1 << (nbytes - 1).bit_length() - 4
    if nbytes > HUGE_PAGE:
        step = max(step, HUGE_PAGE)   # whole huge pages only
    return -(-nbytes // step) * step


def largest_class_within(nbytes: int) -> int:
    """The largest class size not above `nbytes`, a multiple of the alignment."""
    if nbytes <= 8 * ALIGNMENT:
        return nbytes
    step = 1 << nbytes.bit_length() - 4
    return nbytes // step * step


def _map_posix(size: int) -> int:
    """Map `size` bytes aligned to a huge page, by mapping more and giving the ends back."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    start = _libc.mmap(None, size + HUGE_PAGE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if start in (None, ctypes.c_void_p(-1).value):
        raise MemoryError(f"cannot map {size} bytes: {os.strerror(ctypes.get_errno())}")
    address = -(-start // HUGE_PAGE) * HUGE_PAGE
    if address > start:
        _libc.munmap(start, address - start)
    _libc.munmap(address + size, start + HUGE_PAGE - address)
    if sys.platform == "linux":
        _libc.madvise(address, size, _MADV_HUGEPAGE)   # advice: a kernel without huge pages refuses
    return address


def _unmap_posix(address: int, size: int) -> None:
    _libc.munmap(address, size)


def _map_windows(size: int) -> int:
    """Reserve and commit pages; the system aligns them to 64 KiB and has no huge pages to offer."""
    address = _libc.VirtualAlloc(None, size, 0x3000, 0x04)   # MEM_COMMIT | MEM_RESERVE, READWRITE
    if not address:
        raise MemoryError(f"cannot map {size} bytes: the system refuses")
    return address


def _unmap_windows(address: int, size: int) -> None:
    _libc.VirtualFree(address, 0, 0x8000)   # MEM_RELEASE


def _system_library() -> ctypes.CDLL:
    """The library with the system's memory calls, their signatures declared."""
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    if sys.platform == "win32":
        library = ctypes.WinDLL("kernel32")
        library.VirtualAlloc.restype = pointer
        library.VirtualAlloc.argtypes = [pointer, size, ctypes.c_ulong, ctypes.c_ulong]
        library.VirtualFree.argtypes = [pointer, size, ctypes.c_ulong]
        return library
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = pointer
    library.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_long]
    library.munmap.argtypes = [pointer, size]
    if sys.platform == "linux":
        library.madvise.argtypes = [pointer, size, number]
    return library


_libc = _system_library()
if sys.platform == "win32":
    map_pages, unmap_pages = _map_windows, _unmap_windows
else:
    map_pages, unmap_pages = _map_posix, _unmap_posix


def limit() -> int:
    """The bytes that arrays may take: `config.memory_limit`, or else what there is."""
    return config.memory_limit or _machine_bytes()


@functools.cache
def _machine_bytes() -> int:
    return memory_bytes()


_shared = Allocator(_machine_bytes() // 4)
allocate = _shared.allocate
release = _shared.release
home = _shared.home
trim = _shared.trim
stats = _shared.stats
room = _shared.room
also_cached = _shared.also_cached


@atexit.register
def _keep_everything() -> None:
    """From now on finalizers may run in any order: the process's end gives all memory back."""
    _shared._mapped_from = sys.maxsize
