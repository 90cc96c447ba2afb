"""Writes a page for each public module and one for each of its names, from the docstrings.

    python docs/site/api_pages.py FOLDER
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import Any

from public_names import ALL, MODULES, documented, is_function, members, methods

_SPECIAL = re.compile(r"([\\*_\[\]<>|$~#])")
_CODE = re.compile(r"(`+[^`]+`+)")
_WIDTH = 88  # of a signature in one line


def write(folder: Path) -> None:
    """All pages, in a folder; a file that says what it should is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"index.md": _index()}
    for module in ALL:
        pages[f"{module}.md"] = _module_page(module)
        for name, value in members(module).items():
            if _own_page(value):
                pages[f"{module}.{_file(name)}.md"] = _name_page(module, name, value)
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    for file in folder.glob("*.md"):
        if file.name not in pages:
            file.unlink()


def _file(name: str) -> str:
    """A name for a file; two that differ in case alone must not meet: `p` and `P`."""
    return name if name == name.lower() else f"{name}_"


def _index() -> str:
    lines = ["# All public names", "",
             "By task. Each module has a page, and each of its names one of its own.", ""]
    for family, modules in MODULES.items():
        lines += [f"## {family}", "", "```{toctree}", ":maxdepth: 1", "", *modules, "```", ""]
    return "\n".join(lines)


def _module_page(module: str) -> str:
    functions, others = [], []
    for name, value in members(module).items():
        linked = f"[`{name}`]({module}.{_file(name)}.md)" if _own_page(value) else f"`{name}`"
        row = f"| {linked} | {_table_cell(_sentence(value))} |"
        (functions if is_function(value) else others).append(row)
    doc = inspect.getdoc(sys.modules[module]) or ""
    parts = [f"# {module}", "", markdown(doc), ""]
    for title, rows in (("Functions", functions), ("Types and constants", others)):
        if rows:
            parts += [f"## {title}", "", "| name | what |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def _own_page(value: Any) -> bool:
    """Whether there is more to say than a row of a table does."""
    if inspect.isclass(value) and not value.__module__.startswith("arraylib"):
        return False
    return documented(value)


def _sentence(value: Any) -> str:
    """The first sentence of a docstring; what a constant is."""
    if not documented(value):
        return f"`{value!r}`" if len(repr(value)) < 60 else type(value).__name__
    first = re.split(r"\n\n|(?<=[.:])\s", inspect.getdoc(value) or "", maxsplit=1)[0]
    return _escaped(" ".join(first.split()))


def _table_cell(text: str) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def _name_page(module: str, name: str, value: Any) -> str:
    path = f"{module}.{name}"
    parts = ["---", "orphan: true", "---", "", f"# {name}", "", f"In [`{module}`]({module}.md)", "",
             _signature(path, value), "", markdown(inspect.getdoc(value) or ""), ""]
    for method, each in methods(value).items():
        parts += [f"## {name}.{method}", "", _signature(f"{name}.{method}", each), "",
                  markdown(inspect.getdoc(each) or ""), ""]
    return "\n".join(parts)


def _signature(path: str, value: Any) -> str:
    """How it is called, as a block of code; nothing for a property."""
    if isinstance(value, property):
        return ""
    try:
        text = f"{path}{inspect.signature(getattr(value, '__func__', value))}"
    except (TypeError, ValueError):
        return f"```python\n{path}\n```"
    text = re.sub(r"'([\w.| \[\],]+)'(?=[,)=]| =| *$|\n)", r"\1", text)  # annotations in quotes
    if len(text) > _WIDTH:
        text = _broken(text)
    return f"```python\n{text}\n```"


def _broken(text: str) -> str:
    """A signature with a line for each argument."""
    head, rest = text.split("(", 1)
    inside, depth, lines, start = 0, 0, [], 0
    for at, letter in enumerate(rest):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if depth < 0:
            inside = at
            break
        if letter == "," and depth == 0:
            lines.append(rest[start:at + 1].strip())
            start = at + 1
    lines.append(rest[start:inside].strip())
    return f"{head}(\n" + "".join(f"    {line}\n" for line in lines if line) + rest[inside:]


def markdown(doc: str) -> str:
    """A docstring as Markdown: paragraphs as they are; examples and indented text as code."""
    return "\n\n".join(_paragraph(block) for block in _blocks(doc))


def _blocks(doc: str) -> list[str]:
    """Paragraphs; indented ones that follow each other are one."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n", doc.strip("\n")):
        indented = block.startswith("    ")
        if indented and found and found[-1].startswith("    ") and ">>>" not in block:
            found[-1] += f"\n\n{block}"
        else:
            found.append(block)
    return found


def _paragraph(block: str) -> str:
    first, _, rest = block.partition("\n")
    if ">>>" in block:
        text = inspect.cleandoc(block) if block.startswith(" ") else block
        head, at, example = text.partition(">>>")
        return (f"{_escaped(head)}\n\n" if head.strip() else "") + \
            f"```pycon\n{at}{example}\n```"
    if block.startswith("    "):
        return f"```python\n{inspect.cleandoc(block)}\n```"
    if first.strip().endswith(":") and rest.startswith("    "):
        return f"{_escaped(first)}\n\n{_items(inspect.cleandoc(rest))}"
    return _escaped(block)


def _items(text: str) -> str:
    """`name: meaning` lines, further ones indented, as a list."""
    entries = re.split(r"\n(?! )", text)
    return "\n".join(f"- {_escaped(' '.join(entry.split()))}" for entry in entries)


def _escaped(text: str) -> str:
    """Text whose signs of Markdown mean themselves, but for code between backticks."""
    parts = _CODE.split(text)
    return "".join(part if part.startswith("`") else _SPECIAL.sub(r"\\\1", part) for part in parts)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
