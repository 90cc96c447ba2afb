"""The gallery's scripts: each runs without matplotlib, checks itself, and becomes a page."""

import runpy
import sys

import gallery_pages
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
