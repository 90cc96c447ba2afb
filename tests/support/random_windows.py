"""Random windows: a shape, and attributes of reduce_window or select_and_scatter that fit it."""

from hypothesis import strategies as st


@st.composite
def windows(draw, dilations=True):
    """A shape and the attributes of windows on it, of which there is at least one."""
    rank = draw(st.integers(1, 3))
    def numbers(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))
    shape = numbers(1, 6)
    sizes, strides = numbers(1, 4), numbers(1, 3)
    base, inner = (numbers(1, 3), numbers(1, 3)) if dilations else ((1,) * rank,) * 2
    reach = [(n - 1) * b + 1 for n, b in zip(shape, base)]
    padding, least = [], -2 if dilations else 0
    for n in reach:
        low = draw(st.integers(least, 3))
        padding.append((low, max(draw(st.integers(least, 3)), 1 - n - low)))
    room = [low + n + high for n, (low, high) in zip(reach, padding)]
    sizes = tuple(max(1, min(s, (r - 1) // d + 1)) for s, r, d in zip(sizes, room, inner))
    attrs = {"window_dimensions": sizes, "window_strides": strides, "padding": tuple(padding)}
    return shape, {**attrs, "base_dilations": base, "window_dilations": inner} \
        if dilations else attrs
