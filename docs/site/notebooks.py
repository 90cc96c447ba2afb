"""The gallery's scripts as notebooks, which draw where they are run.

    python docs/site/notebooks.py FOLDER

A notebook is nbformat 4.5 (JSON): the cells of the script, and before them the function that shows
a picture, in place of the one that the scripts share.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from gallery_pages import cells, plain, scripts

_SHARED = "from _picture import picture\n"
_SHOW = '''from matplotlib import pyplot


def picture(draw, columns=1, size=(6, 4)):
    """Let `draw(axes)` draw, on as many axes as there are columns."""
    figure, axes = pyplot.subplots(1, columns, figsize=size, squeeze=False)
    draw(*axes[0])
    figure.tight_layout()
    pyplot.show()'''


def write(folder: Path) -> None:
    """Each script of the gallery as FOLDER/NAME.ipynb."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in scripts():
        text = json.dumps(notebook(script.read_text()), indent=1) + "\n"
        (folder / f"{script.stem}.ipynb").write_text(text)


def notebook(source: str) -> dict[str, Any]:
    """A script in the percent format as a notebook that needs no other file."""
    parts = list(cells(source))
    if _SHARED in source:
        parts.insert(1, (False, _SHOW))
    made = [_cell(number, is_text, text) for number, (is_text, text) in enumerate(parts)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
            "nbformat": 4, "nbformat_minor": 5}


def _cell(number: int, is_text: bool, text: str) -> dict[str, Any]:
    common = {"id": f"cell-{number}", "metadata": {}}
    if is_text:
        return {"cell_type": "markdown", **common, "source": plain(text)}
    code = text.replace(_SHARED, "").replace("picture(__file__, ", "picture(").strip("\n")
    return {"cell_type": "code", **common, "execution_count": None, "outputs": [], "source": code}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
