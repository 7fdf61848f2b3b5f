"""The site of the documentation: `nox -s docs` builds it into docs/_build/html, and a warning is an error.

The guides are the Markdown files of this folder. `_extensions/` makes pages of what lies elsewhere in the repository
and of the public names of the packages, so that a link works on the site as it does on a code host.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import xaicore

project = "xaicore"
author = "The authors of xaicore"
copyright = "the authors of xaicore"
release = xaicore.__version__
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "repository_pages",
    "public_names",
    "plain_docstrings",
]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4  # links to headings, spelt as code hosts spell them

default_role = "public"  # `name` in a docstring: a link where it is a public name, code where it is not
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
napoleon_google_docstring = False
# A type is words here ("tensor or array"), and not the name of a class to link to.
napoleon_use_param = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = f"xaicore {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f99", "color-brand-content": "#1f5f99"},
    "dark_css_variables": {"color-brand-primary": "#7db8ec", "color-brand-content": "#7db8ec"},
}
