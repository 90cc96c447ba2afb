"""docs/hlo.md: its programs run, its commands print what it says.

Blocks run in order, in one folder. A block of `mlir` is the file that the line above it names; one
of `text` is what the `python` above it prints; one of `console` has commands after `$` and what
each of them prints. `python tests/hlo/test_hlo_page.py` writes what they print into the page.
"""

import contextlib
import io
import os
import re
import shlex
import tempfile
from pathlib import Path

from arraylib.hlo.command import main

PAGE = Path(__file__).parents[2] / "docs" / "hlo.md"
COMMAND = "$ python -m arraylib.hlo "
_BLOCK = re.compile(r"```(\w+)\n(.*?)```\n", re.DOTALL)
_NAME = re.compile(r".*`([\w.]+)`:\n\n$", re.DOTALL)


def executed():
    """The page with what its examples really print, run in the current folder."""
    before, shown, printed = PAGE.read_text(), "", ""
    at = 0
    for block in _BLOCK.finditer(before):
        shown += before[at:block.start()]
        language, content = block.groups()
        if language == "mlir":
            Path(_NAME.match(shown).group(1)).write_text(content)
        elif language == "python":
            printed = _output(lambda source=content: exec(source, {"__name__": "example"}))
        elif language == "text":
            content = printed
        elif language == "console":
            content = "".join(_command(line) for line in content.splitlines()
                              if line.startswith("$ "))
        shown += f"```{language}\n{content}```\n"
        at = block.end()
    return shown + before[at:]


def _command(line):
    """A line with a command, and what it prints."""
    assert line.startswith(COMMAND), line
    return f"{line}\n{_output(lambda: main(shlex.split(line.removeprefix(COMMAND))))}"


def _output(action):
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream), \
            contextlib.suppress(SystemExit):
        action()
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def test_the_page_prints_what_it_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = executed()
    assert text == PAGE.read_text(), "run python tests/hlo/test_hlo_page.py and read the page"
    assert {language for language, _ in _BLOCK.findall(text)} == {
        "mlir", "python", "text", "console"}
    assert "Traceback" not in text


if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp())
    PAGE.write_text(executed())
