"""The caching allocator: classes, reuse, limits, threads, and an interpreter that is going away."""

import ctypes
import itertools
import subprocess
import sys
import threading
import timeit

import pytest

from arraylib.backends.cpu import memory
from arraylib.backends.cpu.memory import HUGE_PAGE, Allocator, class_size, largest_class_within

MIB = 1 << 20


@pytest.fixture
def allocator():
    allocator = Allocator(limit=64 * MIB)
    yield allocator
    allocator.trim()


SIZES = [0, 1, 63, 64, 65, 511, 512, 513, 4095, 65537, 300_000, MIB, 2 * MIB - 1, 2 * MIB,
         2 * MIB + 1, 5 * MIB, 33 * MIB + 7]


@pytest.mark.parametrize("nbytes", SIZES)
def test_class_sizes_are_aligned_and_waste_at_most_an_eighth(nbytes):
    size = class_size(nbytes)
    assert size >= nbytes and size % 64 == 0
    if 512 < nbytes < HUGE_PAGE or nbytes > 16 * HUGE_PAGE:
        assert size - nbytes <= nbytes / 8
    assert class_size(size) == size, "a class serves its own size"
    assert nbytes < HUGE_PAGE or size % HUGE_PAGE == 0


def test_rest_of_a_slab_becomes_existing_classes():
    for nbytes in range(64, 70_000, 64):
        size = largest_class_within(nbytes)
        assert 0 < size <= nbytes and class_size(size) == size


@pytest.mark.parametrize("nbytes", SIZES)
def test_blocks_are_aligned_writable_and_reused(allocator, nbytes):
    address = allocator.allocate(nbytes)
    assert address % (HUGE_PAGE if nbytes >= HUGE_PAGE and sys.platform != "win32" else 64) == 0
    ctypes.memset(address, 0xA5, nbytes)
    allocator.release(address, nbytes)
    assert allocator.allocate(nbytes) == address


def test_live_blocks_never_overlap(allocator):
    blocks = []
    for turn in range(3):
        blocks += [(allocator.allocate(size), size) for size in SIZES for _ in range(7)]
        for block in blocks[turn::2]:
            allocator.release(*block)
        del blocks[turn::2]
    spans = sorted((address, address + class_size(size)) for address, size in blocks)
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end <= start


def test_stats_account_for_every_byte(allocator):
    assert allocator.stats().mapped == 0
    small, large = allocator.allocate(1000), allocator.allocate(5 * MIB)
    used = class_size(1000) + class_size(5 * MIB)
    assert allocator.stats().used == used
    allocator.release(small, 1000)
    allocator.release(large, 5 * MIB)
    stats = allocator.stats()
    assert (stats.used, stats.cached) == (0, stats.mapped)


def test_trim_returns_whole_mappings(allocator):
    allocator.release(allocator.allocate(8 * MIB), 8 * MIB)
    assert allocator.stats().mapped == 8 * MIB
    allocator.trim()
    assert allocator.stats().mapped == 0 and allocator.stats().unmaps == 1


def test_cached_bytes_stay_below_the_limit(allocator):
    addresses = [allocator.allocate(16 * MIB) for _ in range(8)]
    for address in addresses:
        allocator.release(address, 16 * MIB)
    assert allocator.stats().cached == 64 * MIB
    assert allocator.allocate(16 * MIB) == addresses[-1], "the last one used is the warmest"


def test_every_mapping_counts_towards_the_limit():
    allocator = Allocator(limit=0)
    for nbytes in (HUGE_PAGE * 15 // 16, HUGE_PAGE * 15 // 16 + 1, HUGE_PAGE):
        allocator.release(allocator.allocate(nbytes), nbytes)
    assert allocator.stats().unmaps == 2, "the first one is carved from a slab"


def test_impossible_size_is_a_memory_error(allocator):
    with pytest.raises(MemoryError, match="bytes"):
        allocator.allocate(1 << 60)


def test_threads_get_different_blocks(allocator):
    failures = []

    def churn(mark):
        for turn in range(400):
            size = SIZES[turn % 12]
            address = allocator.allocate(size)
            ctypes.memset(address, mark, size)
            if bytes([mark]) * size != ctypes.string_at(address, size):
                failures.append((mark, size))
            allocator.release(address, size)

    threads = [threading.Thread(target=churn, args=(mark,)) for mark in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and allocator.stats().used == 0


def test_cached_allocation_is_cheap():
    """The bar is 300 ns for the pair on a quiet machine; ten times that only if a lock crept in."""
    memory.release(memory.allocate(1 << 12), 1 << 12)
    seconds = min(timeit.repeat(
        lambda: memory.release(memory.allocate(1 << 12), 1 << 12), number=2000, repeat=5)) / 2000
    assert seconds < 3e-6


def test_finalizers_at_exit_are_harmless():
    program = """
import sys
from arraylib.backends.cpu import memory
class Block:
    def __init__(self, nbytes):
        self.nbytes, self.address, self.release = nbytes, memory.allocate(nbytes), memory.release
    def __del__(self):
        self.release(self.address, self.nbytes)
sys.kept = [Block(1 << power) for power in range(26)]    # dies with sys, the last of all modules
sys.kept.append(sys.kept)                                # in a cycle
kept = [Block(3 << power) for power in range(24)]
memory._shared.limit = 0
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
