"""docs/ops.md says what the records say."""

import ops_page

from arraylib.hlo.ops import TABLE


def test_the_page_of_operations_is_up_to_date():
    page = ops_page.page()
    assert page == ops_page.PAGE.read_text(), "run python tests/support/ops_page.py"
    assert all(f"| `{name}` |" in page for name in TABLE)
