"""docs/ops.md says what the records say."""

import runpy
from pathlib import Path

from arraylib.hlo.ops import TABLE

ROOT = Path(__file__).parent.parent.parent


def test_the_page_of_operations_is_up_to_date():
    page = runpy.run_path(str(ROOT / "tools" / "ops_page.py"))["page"]()
    assert page == (ROOT / "docs" / "ops.md").read_text(), "run python tools/ops_page.py"
    assert all(f"| `{name}` |" in page for name in TABLE)
