"""Docstrings of all public names: each function has an example, and examples show what happens.

In an example `arraylib` and its modules, `jnp`, `np`, and the names of the function's own module
are at hand; methods go on where the example of their class ended. They run on the reference
backend, which compiles nothing, and numbers may differ in their last digits.
"""

import builtins
import doctest
import inspect
import operator
import re
import sys

import numpy as np
import pytest
from public_names import ALL, is_function, members, methods

import arraylib
from arraylib.config import config

_ROOM = {name: getattr(arraylib, name) for name in dir(arraylib)}
_ROOM |= {"arraylib": arraylib, "jnp": arraylib.numpy, "np": np, "operator": operator,
          "hlo": arraylib.hlo, "special": arraylib.scipy.special, "linalg": arraylib.scipy.linalg,
          "stats": arraylib.scipy.stats}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")

# What no example shows quickly, and the page that has one. Nothing may be added.
SHOWN_ELSEWHERE = {"arraylib.checking_leaks": "debugging.md"}


class Checker(doctest.OutputChecker):
    """Compares words without their spaces, and numbers as numbers."""

    def check_output(self, want, got, optionflags):
        if super().check_output(want, got, optionflags):
            return True
        words = [re.sub(r"\s", "", _NUMBER.sub("#", text)) for text in (want, got)]
        numbers = [[float(each) for each in _NUMBER.findall(text)] for text in (want, got)]
        return words[0] == words[1] and np.allclose(*numbers, rtol=1e-4, atol=1e-6)


def _examples(module):
    """Each docstring of a module once, as a test: of functions, of classes and their methods."""
    parser, seen = doctest.DocTestParser(), set()
    public = {name: value for name, value in members(module).items() if not hasattr(builtins, name)}
    for name, value in members(module).items():
        home = sys.modules.get(getattr(value, "__module__", ""), arraylib)
        if not home.__name__.startswith("arraylib"):
            continue
        room = vars(home) | public | _ROOM
        for path, each in {name: value, **{f"{name}.{key}": method for key, method in
                                           methods(value).items()}}.items():
            text = inspect.getdoc(each) if getattr(each, "__doc__", None) else None
            if text and ">>>" in text and text not in seen:
                seen.add(text)
                test = parser.get_doctest(text, {}, f"{module}.{path}", None, None)
                test.globs = room
                yield test


@pytest.mark.parametrize("module", ALL)
def test_examples_show_what_happens(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = []
    for test in _examples(module):
        runner = doctest.DocTestRunner(Checker(), verbose=False, optionflags=doctest.ELLIPSIS)
        with config.using(backend="reference", cache_dir=str(tmp_path)):
            runner.run(test, out=told.append, clear_globs=False)
    assert not told, "".join(told)


def test_every_function_has_an_example():
    lacking = {f"{module}.{name}" for module in ALL for name, value in members(module).items()
               if is_function(value) and ">>>" not in value.__doc__}
    assert lacking == SHOWN_ELSEWHERE.keys()


@pytest.mark.parametrize("module", ALL)
def test_docstrings_begin_with_a_sentence(module):
    for name, value in members(module).items():
        if is_function(value) and value.__module__.startswith("arraylib"):
            first = inspect.getdoc(value).split("\n\n")[0]
            assert first.endswith((".", ":")), f"{module}.{name}: {first}"
