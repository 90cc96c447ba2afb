"""The gallery's scripts: each runs without matplotlib, checks itself, and becomes a page and a
notebook."""

import json
import re
import runpy
import sys

import gallery_pages
import notebooks
import pytest

from arraylib.config import config

SCRIPTS = gallery_pages.scripts()
QUICK = {"mandelbrot", "n_body", "sharded_step"}
EACH = [pytest.param(script, id=script.stem,
                     marks=() if script.stem in QUICK else pytest.mark.thorough)
        for script in SCRIPTS]


@pytest.mark.parametrize("script", EACH)
def test_script(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(script.parent)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with config.using():
        runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_page(script, tmp_path):
    picture = tmp_path / f"{script.stem}.png"
    page = gallery_pages.page(script, picture)
    title, after = page.split("\n", 2)[0], page.split("\n\n", 2)
    assert title == f"# {gallery_pages.title(script)}" and len(title) < 60
    assert f"({picture.name})" in page and len(after) == 3
    assert len(script.read_text().splitlines()) < 150


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_has_the_cells_and_needs_no_other_file(script, tmp_path):
    made = notebooks.notebook(script.read_text())
    code = [cell["source"] for cell in made["cells"] if cell["cell_type"] == "code"]
    compile("\n".join(code), script.stem, "exec")
    assert not any("import picture" in text or "__file__" in text for text in code)
    assert made["cells"][0]["source"].startswith(f"# {gallery_pages.title(script)}\n")
    assert len({cell["id"] for cell in made["cells"]}) == len(made["cells"])


def test_a_notebook_runs_and_shows_its_picture(tmp_path, monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf()))
    notebooks.write(tmp_path)
    names = {}
    with config.using():
        for cell in json.loads((tmp_path / "mandelbrot.ipynb").read_text())["cells"]:
            if cell["cell_type"] == "code":
                exec(cell["source"], names)
    assert len(shown) == 1 and shown[0].axes
    pyplot.close("all")


def test_every_page_is_in_the_index():
    folder = gallery_pages.SCRIPTS.parents[1] / "docs"
    trees = re.findall(r"```{toctree}\n(?::.*\n)*\n([^`]*)```", (folder / "index.md").read_text())
    listed = {page for tree in trees for page in tree.split()}
    assert {file.stem for file in folder.glob("*.md")} - {"index"} <= listed
