"""Why two groups are not one kernel: the rules of `fuse.py`, asked again when all is done."""

from __future__ import annotations

from collections.abc import Iterator

from arraylib.backends.lower.fuse import MOST_ITEMS, SHARED_READ, Fuser, Unit, reads_in_place
from arraylib.backends.lower.items import Item
from arraylib.backends.lower.plan import View
from arraylib.backends.lower.space import joined, lifted, sizes_of
from arraylib.backends.lower.views import Ints, is_identity
from arraylib.record import record


@record
class Apart:
    """A rule's name and what it says of two groups; `third` is the unit between them, if any."""

    rule: str
    text: str
    third: Unit | None = None


def apart(fuser: Fuser, one: Unit, other: Unit) -> Apart:
    """The rule that keeps two different groups of one lowering from being one kernel."""
    first, last = (one, other) if other.ancestors & one.bit else (other, one)
    if not last.ancestors & first.bit:
        found = _unrelated(first, last)
        if found:
            return found
    return (_between(fuser, first, last) or _too_many(first, last) or _spaces(first, last)
            or _order(fuser, first, last) or Apart(
                "first come", "no rule forbids it: each had joined another group before they met"))


def _unrelated(first: Unit, last: Unit) -> Apart | None:
    """Groups that need nothing of each other share a kernel only to read a large array once."""
    common = {view.buffer for item in first.items for view in item.reads} \
        & {view.buffer for item in last.items for view in item.reads}
    sizes = [b.type.size for b in common if b.constant is None]
    if not sizes:
        return Apart("nothing in common", "neither needs a result of the other, and they read "
                     "nothing in common")
    if max(sizes) < SHARED_READ:
        return Apart("small", f"neither needs a result of the other, and what both read has "
                     f"{max(sizes):,} elements: reading less than {SHARED_READ:,} once instead of "
                     "twice saves nothing")
    return None


def _between(fuser: Fuser, first: Unit, last: Unit) -> Apart | None:
    for unit in fuser.units:
        if unit.merged_into is None and unit is not first and unit is not last \
                and unit.ancestors & first.bit and last.ancestors & unit.bit:
            return Apart("between", "a step between them needs the first and is needed by the "
                         "second", unit)
    return None


def _too_many(first: Unit, last: Unit) -> Apart | None:
    count = len(first.items) + len(last.items)
    if count <= MOST_ITEMS:
        return None
    return Apart("too many", f"together they have {count} operations: kernels have at most "
                 f"{MOST_ITEMS}, beyond which registers are spilled")


def _spaces(first: Unit, last: Unit) -> Apart | None:
    """Both must be loops over the same points, or one over what the other's sums leave."""
    if first.size == last.size:
        if joined(first.cuts, last.cuts) is None:
            return Apart("shapes", f"{_axes(first.cuts)} and {_axes(last.cuts)} have no axes in "
                         "common that both could be cut into")
        if first.spans and last.spans and first.spans != last.spans:
            return Apart("sums", "they sum over different axes, so that one would have to end "
                         "before the other begins")
        return None
    for whole, part in ((first, last), (last, first)):
        if whole.spans and not part.spans and part.size == whole.kept_size:
            if lifted(part.cuts, whole.spans, whole.cuts) is None:
                return Apart("shapes", f"{_axes(part.cuts)} does not fit what the sums over "
                             f"{_axes(whole.cuts)} leave")
            return None
    return Apart("sizes", f"one computes {first.size:,} elements, the other {last.size:,}: a "
                 "kernel is one loop over the same points")


def _axes(cuts: Ints) -> str:
    return f"[{','.join(map(str, sizes_of(cuts)))}]"


def _order(fuser: Fuser, first: Unit, last: Unit) -> Apart | None:
    for item, view in _crossing(fuser, first, last):
        definer = fuser.definers.get(view.buffer)
        if definer is None:
            return Apart("memory", "what the second reads is put together in memory before, by "
                         "several writes or behind a barrier")
        if first.size == last.size and not reads_in_place(
                view, first.is_kept(definer), last.is_kept(item), first.cuts, first.spans):
            what = "a sum that must end first" if first.is_kept(definer) else \
                "in another order, part by part, or again and again"
            return Apart("order", f"the second reads the first's result {what}: it must be in "
                         "memory by then" if not first.is_kept(definer) else
                         f"the second needs {what}")
        if not is_identity(view):
            return Apart("order", "the second reads the first's result in another order, part by "
                         "part, or again and again: it must be in memory by then")
    return None


def _crossing(fuser: Fuser, first: Unit, last: Unit) -> Iterator[tuple[Item, View]]:
    """What items of the last group read of what the first writes."""
    for item in last.items:
        for view in item.reads:
            if first in fuser.writers(view.buffer):
                yield item, view
