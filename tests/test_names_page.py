"""docs/names.md says which names of JAX are not here, and gives a reason for each."""

import pytest

jax = pytest.importorskip("jax")
import names_page  # noqa: E402


@pytest.mark.skipif(jax.__version__ != "0.10.2", reason="the page is about JAX 0.10.2")
def test_the_page_is_true():
    assert names_page.PAGE.read_text() == names_page.page(), \
        "run python tests/support/names_page.py"
