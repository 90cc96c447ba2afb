"""Settings of the documentation: `python -m sphinx docs out/docs` builds it."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "site")]

import api_pages  # noqa: E402
import gallery_pages  # noqa: E402
import notebooks  # noqa: E402

import arraylib  # noqa: E402

project, author = "arraylib", "the authors of arraylib"
version = release = arraylib.__version__
copyright = author

extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["site"]
# The pages link to files of the repository and to sections that readers of the files jump to.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]

html_theme = "furo"
html_title = "arraylib"
html_show_sphinx = html_show_copyright = html_copy_source = False
pygments_style = "friendly"


def _written(app):
    """Pages that are not written by hand: of public names, of the gallery."""
    api_pages.write(HERE / "api")
    gallery_pages.write(HERE / "gallery")
    notebooks.write(HERE / "gallery")


def setup(app):
    app.connect("builder-inited", _written)
