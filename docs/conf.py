"""How Sphinx makes the site of the pages in docs/ and of README, CHANGELOG and the like; run by ``make docs``.

The repository's root is the source, so that links between pages, examples and code work there and on the site alike.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import airflow_provider_catalog

project = "airflow-provider-catalog"
author = "the authors of airflow-provider-catalog"
project_copyright = author
version = release = airflow_provider_catalog.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*"]
root_doc = "docs/README"
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
nitpick_ignore_regex = [
    (r"py:.*", r"(?!airflow_provider_catalog).*"),  # what is not ours is documented elsewhere
    (r"py:.*", r"airflow_provider_catalog\.(assets|client|links|output|probe|utils|version_compat).*"),  # internal
]

html_theme = "furo"
html_title = "airflow-provider-catalog"
html_logo = "integration-logos/catalog.svg"
html_favicon = "integration-logos/catalog.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
pygments_dark_style = "github-dark"
html_theme_options = {"sidebar_hide_name": False}


def add_table_of_contents(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make the navigation of the lists in docs/README.md: a heading, and the pages that are listed under it."""
    if docname == app.config.root_doc:
        for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
            caption = section.partition("\n")[0]
            pages = re.findall(r"^- \[(.+?)\]\((\S+?)\.md\)", section, re.MULTILINE)
            entries = "\n".join(f"{title} <{page}>" for title, page in pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


class HelpOfCommand(SphinxDirective):
    """Shows what ``python -m MODULE --help`` prints."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Run it, and return a block with its output."""
        command = [sys.executable, "-W", "ignore", "-m", self.arguments[0], "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={"COLUMNS": "88"})  # noqa: S603
        return [nodes.literal_block(done.stdout, done.stdout, language="text")]


def lead_to_front_page(app: Sphinx, exception: Exception | None) -> None:
    """Write an index.html that leads to the front page, which is not at the top."""
    if exception is None and app.builder.format == "html":
        front = app.builder.get_target_uri(app.config.root_doc)
        page = f'<!doctype html><meta charset="utf-8"><title>{project}</title>'
        page += f'<meta http-equiv="refresh" content="0; url={front}"><a href="{front}">{project}</a>\n'
        Path(app.outdir, "index.html").write_text(page)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what is above to Sphinx."""
    app.connect("source-read", add_table_of_contents)
    app.connect("build-finished", lead_to_front_page)
    app.add_directive("help-of-command", HelpOfCommand)
    return {"parallel_read_safe": True}
