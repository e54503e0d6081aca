"""Sphinx: how the documentation is built. ``sphinx-build -W -b html docs docs/_build/html`` needs no network."""

from __future__ import annotations

import sys
from pathlib import Path

import store_core

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "store-core"
author = "store-core maintainers"
project_copyright = f"2026, {author}"
release = version = store_core.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "from_code", "conformance_table"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
smartquotes = False
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"store-core {release}"
html_copy_source = False
