"""docs/seeing.md, debugging.md, tour.md and more: examples run, and print what the pages say.

Blocks of `python` run in order, in one folder and one namespace; the file that the line above one
names is what its lines are called. A block of `text` is what the block above it prints; in one of
`txt` numbers may differ, as times do, and so the order of lines. `python tests/test_seeing_page.py`
writes what they print into the pages.
"""

import contextlib
import io
import linecache
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

import arraylib
from arraylib.compile import clear_cache
from arraylib.config import config

PAGE = Path(__file__).parents[1] / "docs" / "seeing.md"
DEBUGGING, BATCHING = PAGE.with_name("debugging.md"), PAGE.with_name("batching.md")
REFS, PRIMITIVES = PAGE.with_name("refs.md"), PAGE.with_name("primitives.md")
_BLOCK = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)
_NAME = re.compile(r".*`([\w.]+\.py)`:\n\n$", re.DOTALL)
_NUMBER = re.compile(r"-?\d[\d.,]*(?: ?(?:[num]?s|B|[KMGT]iB|[kMGT]|%)\b)?%?")


def executed(page):
    """A page with what its examples really print, run in the current folder."""
    before, shown, at = page.read_text(), "", 0
    namespace, printed = {"__name__": "example"}, ""
    for block in _BLOCK.finditer(before):
        shown += before[at:block.start()]
        language, content = block.groups()
        if language == "python":
            printed = _output(content, _NAME.match(shown), namespace)
        else:
            content = printed
        shown += f"```{language}\n{content}```\n"
        at = block.end()
    return shown + before[at:]


def _output(content, named, namespace):
    path = Path(named.group(1) if named else "example.py").absolute()
    path.write_text(content)
    linecache.cache.pop(str(path), None)  # of the block before
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(content, str(path), "exec"), namespace)
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def masked(page):
    """The page without the numbers in blocks of `txt`, the room they take, and their order."""
    def bare(block):
        if block.group(1) != "txt":
            return block.group()
        text = re.sub(r"[ -]+", " ", _NUMBER.sub("0", block.group(2)))
        return "\n".join(sorted(line.strip() for line in text.splitlines()))
    return _BLOCK.sub(bare, page)


def _settings(folder):
    clear_cache()
    return config.using(cache=True, cache_dir=str(folder), cpu_threads=2)


def test_the_page_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with _settings("cache"):
        text = executed(PAGE)
    assert masked(text) == masked(PAGE.read_text()), \
        "run python tests/test_seeing_page.py and read the page"
    assert (tmp_path / "trace.json").exists() and (tmp_path / "step.svg").exists()


FIRST = [PAGE.with_name(f"{name}.md") for name in ("index", "tour", "from_numpy", "from_pytorch",
                                                "numpy")]
PAGES = [DEBUGGING, BATCHING, REFS, PRIMITIVES, *FIRST]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pages_on_transforms(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert executed(page) == page.read_text(), \
        "run python tests/test_seeing_page.py and read the page"


if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp())
    with _settings("cache"):
        for page in (PAGE, *PAGES):
            page.write_text(executed(page))
    print(f"wrote {PAGE.parent} with arraylib of {Path(arraylib.__file__).parent}", file=sys.stderr)
