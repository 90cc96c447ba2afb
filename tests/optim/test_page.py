"""docs/optim.md: its example runs and prints what the page says; it has all that there is."""

import contextlib
import io
import re
import types
from pathlib import Path

from arraylib import optim

PAGE = Path(__file__).parents[2] / "docs" / "optim.md"


def test_the_example_prints_what_the_page_says():
    ((source, expected),) = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```",
                                       PAGE.read_text(), re.DOTALL)
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(source, "example.py", "exec"), {})
    assert stream.getvalue() == expected


def test_every_function_is_on_the_page():
    text = PAGE.read_text()
    functions = [name for name, value in vars(optim).items()
                 if isinstance(value, types.FunctionType)]
    assert len(functions) > 40
    assert not [name for name in functions if f"`{name}" not in text and f".{name}(" not in text]
