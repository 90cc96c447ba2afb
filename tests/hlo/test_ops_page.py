"""docs/ops.md says what the records say."""

import re

import ops_page

from arraylib.hlo.ops import TABLE


def test_the_page_of_operations_is_up_to_date():
    page = ops_page.page()
    assert page == ops_page.PAGE.read_text(), "run python tests/support/ops_page.py"


def test_the_page_has_every_operation_once():
    page = ops_page.PAGE.read_text()
    assert sorted(re.findall(r"^### `(\w+)`$", page, re.MULTILINE)) == sorted(TABLE)
    assert all(f"(#{name})" in page for name in TABLE)


def test_the_page_says_what_it_claims():
    assert ops_page.PAGE.read_text().count("```mlir") == len(TABLE)
    gather = ops_page._operation(TABLE["gather"])
    assert "`(f32[5,4], i32[6,1]) -> f32[6,3]`" in gather
    assert "`slice_sizes` = `(1, 3)`" in gather
    assert "- **(C1)** The indices are integers.\n" in gather
    assert "**derivative** linear, —; **transpose** operand 0; **batching** rule\n" in gather
    assert "**on the CPU** native code\n" in gather
    assert "**on the CPU** NumPy\n" in ops_page._operation(TABLE["all_gather"])
    assert "**axes** `ab,bd->ad`; **derivative** linear" in ops_page._operation(
        TABLE["dot_general"])
    assert "**on the CPU** written out, then native" in ops_page._operation(TABLE["reduce"])
