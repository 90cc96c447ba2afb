"""Renders the gallery: each script of examples/gallery as a page, with the picture that it draws.

    python docs/site/gallery_pages.py FOLDER

A script is in the percent format: `# %%` begins a cell of code, `# %% [markdown]` one of text. It
leaves its picture to `picture(name, draw)`, which does nothing where matplotlib is missing.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "examples" / "gallery"
_CELL = re.compile(r"^# %%( \[markdown\])?\n", re.MULTILINE)


def scripts() -> list[Path]:
    """The scripts, in the order of the gallery: that of the list in its index."""
    return sorted(file for file in SCRIPTS.glob("*.py") if not file.name.startswith("_"))


def write(folder: Path) -> None:
    """The pages and pictures; a picture that is newer than its script is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for script in scripts():
        picture = _picture(folder, script)
        if picture is None or picture.stat().st_mtime < script.stat().st_mtime:
            _run(script, folder)
        _save(folder / f"{script.stem}.md", page(script, _picture(folder, script)))
    _save(folder / "index.md", _index(folder))


def _picture(folder: Path, script: Path) -> Path | None:
    """What a script has drawn, if it has."""
    found = [folder / f"{script.stem}{kind}" for kind in (".png", ".svg")]
    return next((file for file in found if file.exists()), None)


def _save(file: Path, text: str) -> None:
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def _run(script: Path, folder: Path) -> None:
    """Run a script where its picture belongs, without a window."""
    before = Path.cwd()
    os.environ["MPLBACKEND"] = "agg"
    sys.path.insert(0, str(SCRIPTS))
    os.chdir(folder)
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        os.chdir(before)
        sys.path.remove(str(SCRIPTS))


def cells(source: str) -> list[tuple[bool, str]]:
    """Whether each cell is text, and what it says."""
    parts = _CELL.split(source)
    return [(bool(mark), body.strip("\n")) for mark, body in zip(parts[1::2], parts[2::2])]


def page(script: Path, picture: Path | None) -> str:
    """A script as Markdown, its picture below the title."""
    shown = []
    for is_text, body in cells(script.read_text()):
        if is_text:
            shown.append(plain(body))
            if picture and len(shown) == 1:
                shown.append(f"![what it draws]({picture.name})")
        else:
            shown.append(f"```python\n{body}\n```")
    run = (f"`python examples/gallery/{script.name}` runs it; "
           f"{{download}}`{script.stem}.ipynb` is the same as a notebook.")
    return "\n\n".join([*shown, run]) + "\n"


def plain(text: str) -> str:
    """What a cell of text says, without the marks of comments."""
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())


def title(script: Path) -> str:
    """The heading of its first cell."""
    return cells(script.read_text())[0][1].splitlines()[0].removeprefix("# # ")


def _index(folder: Path) -> str:
    lines = ["# Gallery", "", "Short programs that run in seconds, each with what it draws.", ""]
    for script in scripts():
        picture = _picture(folder, script)
        drawn = f"![{title(script)}]({picture.name})" if picture else ""
        lines += [f"## [{title(script)}]({script.stem}.md)", "", drawn, ""]
    names = [script.stem for script in scripts()]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *names, "```", ""])


if __name__ == "__main__":
    write(Path(sys.argv[1]))
