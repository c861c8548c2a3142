"""Whether an object store can be written to, as far as that shows without writing: before the first Catalog request."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_catalog.errors import CatalogStorageError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_MAX_CAUSE = 300
"""Characters of a store's own message that are shown."""


def check_store(path: ObjectStoragePath, shown: str) -> None:
    """Ask for what is at the path, then for the bucket; a connection that may write but not look passes."""
    fs, bucket = path.fs, path.path.lstrip("/").partition("/")[0]
    try:
        # This lists what lies below the file, which is nothing: one cheap request, whose answer says more than that
        # to a question about the file, since an error has a body.
        if not fs.find(path.path):
            fs.info(bucket)
    except FileNotFoundError as error:
        raise CatalogStorageError(
            f"output_path={shown!r}: there is no bucket or container {bucket!r}; make it, or correct the name",
            retryable=False,
        ) from error
    except Exception as error:  # each store has errors of its own
        if _may_not_look(error) and not getattr(fs, "anon", False):
            log.info("output_path=%r: the connection may not list files; whether it may write shows at the end", shown)
            return
        if _is_refused(error):
            raise CatalogStorageError(
                f"output_path={shown!r}: the store refuses the connection's credentials; check the connection whose id "
                f"stands before the '@' ({store_message(error)})",
                retryable=False,
            ) from error
        raise CatalogStorageError(
            f"output_path={shown!r}: the store does not answer properly; check the address in the connection "
            f"whose id stands before the '@' ({store_message(error)})"
        ) from error


def store_message(error: BaseException) -> str:
    """Return the class of a store's error, and the start of its message in one line."""
    # What Azure says from there on is for its support.
    text = " ".join(str(error).partition("\nRequestId:")[0].split())
    if len(text) > _MAX_CAUSE:
        text = f"{text[:_MAX_CAUSE]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _may_not_look(error: Exception) -> bool:
    """Tell whether the store knows who asks, but keeps what it has to itself."""
    return (
        _s3_code(error) == "AccessDenied"
        or getattr(error, "error_code", None) == "AuthorizationPermissionMismatch"  # Azure
        or (type(error) is OSError and str(error).startswith("Forbidden:"))  # Google
    )


def _is_refused(error: Exception) -> bool:
    status: Any = getattr(error, "status_code", None) or getattr(error, "code", None)  # Azure, Google
    return isinstance(error, PermissionError) or status in (401, 403) or type(error).__name__ == "RefreshError"


def _s3_code(error: Exception) -> str | None:
    response = getattr(error.__cause__, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
