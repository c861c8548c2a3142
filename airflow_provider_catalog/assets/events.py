"""What a file or table has in it, told to the DAGs that wait for it: figures on the events of a task's outlets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

FIGURES = (
    "endpoint", "path", "format", "table", "write_disposition", "row_count", "inserted", "updated", "deleted",
    "size_bytes", "sha256", "pages", "started_at", "finished_at",
)  # fmt: skip
"""What of the manifest stands on an event. Not the filters, which may name students: events outlive XComs."""


def add_to_events(outlets: Iterable[Any], context: Context, manifest: Mapping[str, Any], uri: str) -> None:
    """
    Put the manifest's figures on the event of each outlet, as its ``extra``.

    An ``Asset``'s event gets them beside what is there already. An ``AssetAlias`` gets an event of the asset that is
    the file or the table itself.

    :param outlets: the task's outlets; what is no asset is left alone.
    :param uri: that of the file or table, without a connection.
    """
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    from airflow_provider_catalog.version_compat import AssetRef

    figures = {name: manifest[name] for name in FIGURES if name in manifest}
    for outlet in outlets:
        if isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(Asset(uri), extra=figures)
        elif isinstance(outlet, (Asset, AssetRef)):
            context["outlet_events"][outlet].extra.update(figures)
