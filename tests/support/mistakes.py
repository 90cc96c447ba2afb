"""What an error says, for the golden files of tests/golden/mistakes/."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from arraylib.errors import ArraylibError

GOLDEN = Path(__file__).parent.parent / "golden" / "mistakes"


def said(mistake: Callable[[], object]) -> str:
    """The class and the text of the error, the numbers of its lines left out."""
    with pytest.raises((ArraylibError, TypeError, IndexError)) as caught:
        mistake()
    text = f"{caught.type.__name__}: {caught.value}\n"
    return re.sub(r"(test_mistakes\w*\.py):\d+", r"\1", text)
