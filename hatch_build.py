"""Completes the metadata of a build with the address of the repository: where it is built is where it lives."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

API = "https://developerdocs.instructure.com/services/catalog/openapi/analytics"


class Addresses(MetadataHookInterface):
    """Sets ``project.urls`` and the README's links, from ``PROJECT_URL`` or what a GitHub workflow knows."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the API's documentation and, where the repository is known, its pages."""
        urls = {"API documentation": API}
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        repository = os.environ.get("PROJECT_URL", "").rstrip("/")
        if not repository and "GITHUB_REPOSITORY" in os.environ:
            repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
        if repository:
            pages = f"{repository}/blob/main"
            urls |= {
                "Source": repository,
                "Issues": f"{repository}/issues",
                "Changelog": f"{pages}/CHANGELOG.md",
                "Documentation": os.environ.get("PROJECT_DOCS_URL") or f"{pages}/docs/README.md",
            }
            readme = re.sub(r"(!\[.*?\])\((?!https?:)", rf"\1({repository}/raw/main/", readme)
            readme = re.sub(r"\]\((?!https?:|#)", f"]({pages}/", readme)
        metadata["urls"] = urls
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
