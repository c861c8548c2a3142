"""Adds the project's URLs to the metadata of a build: where it is built is where it lives."""

from __future__ import annotations

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

API = "https://developerdocs.instructure.com/services/catalog/openapi/analytics"


class ProjectUrls(MetadataHookInterface):
    """Sets ``project.urls`` from ``PROJECT_URL``, or from what a GitHub workflow knows of its repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the API's documentation and, where the repository is known, its pages."""
        urls = {"API documentation": API}
        repository = os.environ.get("PROJECT_URL", "").rstrip("/")
        if not repository and "GITHUB_REPOSITORY" in os.environ:
            repository = f"{os.environ['GITHUB_SERVER_URL']}/{os.environ['GITHUB_REPOSITORY']}"
        if repository:
            urls |= {
                "Source": repository,
                "Issues": f"{repository}/issues",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
            }
            urls["Documentation"] = os.environ.get("PROJECT_DOCS_URL") or f"{repository}/blob/main/docs/README.md"
        metadata["urls"] = urls
