"""A sharding drawn as text: which devices have which part of an array of one or two axes."""

from __future__ import annotations

from collections.abc import Sequence

from arraylib.errors import ArgumentError, mistake
from arraylib.sharding.named import Sharding


def drawn(shape: Sequence[int], sharding: Sharding) -> str:
    """A table with a cell for each part, in which its devices stand.

    Raises: ArgumentError for arrays of no axis or more than two.
    """
    if not 1 <= len(shape) <= 2:
        raise mistake(ArgumentError, "visualize_sharding", f"an array of {len(shape)} axes",
                      hint="one of 1 or 2 axes; x.sharding says the same of any")
    cells: dict[tuple[int, ...], list[int]] = {}
    platform = ""
    for device, index in sharding.devices_indices_map(shape).items():
        starts = tuple(s.indices(n)[0] for s, n in zip(index, shape))
        cells.setdefault(starts if len(starts) == 2 else (0, *starts), []).append(device.id)
        platform = device.platform.upper()
    rows, columns = (sorted({at[axis] for at in cells}) for axis in (0, 1))
    texts = [[f"{platform} {','.join(map(str, sorted(cells[row, column])))}"
              for column in columns] for row in rows]
    return _table(texts)


def _table(texts: Sequence[Sequence[str]]) -> str:
    """Texts in a grid of lines."""
    width = max(len(text) for row in texts for text in row) + 2
    bars = ["─" * width] * len(texts[0])
    lines = ["┌" + "┬".join(bars) + "┐"]
    for number, row in enumerate(texts):
        if number:
            lines.append("├" + "┼".join(bars) + "┤")
        lines.append("│" + "│".join(text.center(width) for text in row) + "│")
    return "\n".join([*lines, "└" + "┴".join(bars) + "┘"])
