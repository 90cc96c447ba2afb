"""Drawing where matplotlib is installed; the programs compute the same without it."""

from pathlib import Path


def picture(file, draw, columns=1, size=(6, 4)):
    """Let `draw(axes)` draw, on as many axes as there are columns, and save it as NAME.png."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    figure, axes = pyplot.subplots(1, columns, figsize=size, squeeze=False)
    draw(*axes[0])
    figure.tight_layout()
    figure.savefig(f"{Path(file).stem}.png", dpi=110)
    pyplot.close(figure)
