"""
The schema file of a dataset: which columns its files have, and of which types, so that all of them read as one table.

A dataset is the folder above the first Hive folder of a path: of ``catalog/orders/day=2026-06-30/orders.parquet`` it is
``catalog/orders``. Its schema file is beside it, ``catalog/orders.schema.json``, for Polars and others refuse a folder
that holds another kind of file. It has an entry for each file name::

    {"orders.parquet": {"columns": {"id": "int64", "refund": "decimal(38,9)"}, "written": {"id": "int64"}}}

``columns`` is for people to edit; ``written`` is what files have. New columns are added to both, before the file that
has them is there.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_catalog.client.filter_values import shown
from airflow_provider_catalog.errors import CatalogParameterError, CatalogStorageError
from airflow_provider_catalog.output.convert import check_type
from airflow_provider_catalog.output.store_check import store_message
from airflow_provider_catalog.output.temporary import TemporaryFile, storage_errors

log = logging.getLogger(__name__)

_HIVE_FOLDER = re.compile("([^/=]+)=[^/]*")
_MAX_TRIES = 20
_LOCK_SECONDS = 30.0
"""Seconds after which a lock that nobody has removed counts as left behind; it is held for milliseconds."""


@dataclass(frozen=True)
class Dataset:
    """A folder of files that read as one table."""

    folder: str
    keys: tuple[str, ...]
    file_name: str
    """The name under which a file's columns are remembered: its own, with ``*`` for digits."""

    @classmethod
    def of(cls, path: str) -> Dataset | None:
        """Return the dataset that a file belongs to, by its path or URL; ``None`` where it has no Hive folders."""
        *folders, name = path.split("/")
        matches = [(number, match) for number, each in enumerate(folders) if (match := _HIVE_FOLDER.fullmatch(each))]
        if not matches:
            return None
        keys = tuple(match[1] for _, match in matches)
        for key in keys:
            if key[0] in "_.":
                raise CatalogParameterError(
                    f"output_path={path!r}: call the folder {key.lstrip('_.') or 'day'}=..., not {key}=...: readers "
                    "skip folders that begin with '_' or '.', and find no rows"
                )
        return cls("/".join(folders[: matches[0][0]]), keys, re.sub("[0-9]+", "*", name))

    @property
    def schema_path(self) -> str | None:
        """Path or URL of the schema file; ``None`` for a whole bucket or disk, beside which there is no place."""
        _, is_url, rest = self.folder.partition("://")
        has_place = "/" in rest.rstrip("/") if is_url else self.folder
        return f"{self.folder}.schema.json" if has_place else None

    def check_keys(self, columns: Iterable[str]) -> None:
        """Check that no column has the name of a key, whatever its case: readers show one of the two, or refuse."""
        keys = {key.casefold(): key for key in self.keys}
        for name in columns:
            if key := keys.get(name.casefold()):
                raise CatalogParameterError(
                    f"output_path: call the folder {key}=... something else, such as loaded_{key}=...: the rows have "
                    f"a column {shown(name)}, and readers would mix up the two"
                )


class SchemaFile:
    """The columns and types of a dataset's files."""

    def __init__(self, dataset: Dataset, store: LocalStore | ObjectStore) -> None:
        self._dataset = dataset
        self._store = store
        self._where = repr(dataset.schema_path)

    def types(self) -> dict[str, str]:
        """Return column → type; nothing where the dataset is new."""
        return self._types(self._read()[0])

    def remember(self, types: dict[str, str]) -> dict[str, str]:
        """Add columns; return all that are remembered now. Types that another pull has remembered meanwhile stay."""
        for _ in range(_MAX_TRIES):
            content, version = self._read()
            known = self._types(content)
            merged = known | types | known  # the order of the known ones, and their types
            entry = {"columns": merged, "written": merged}
            if content.get(self._dataset.file_name) == entry:
                return merged
            content[self._dataset.file_name] = entry
            self._store.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n", version)
        raise CatalogStorageError(f"{self._where}: others keep changing it; try again")

    def _read(self) -> tuple[dict[str, Any], object]:
        text, version = self._store.read()
        try:
            content = json.loads("{}" if text is None else text)
        except ValueError as error:
            raise CatalogParameterError(f"{self._where} is no JSON any more; mend it ({error})") from None
        if not isinstance(content, dict):
            raise CatalogParameterError(f"{self._where} is not a JSON object of file names any more; mend it")
        return content, version

    def _types(self, content: dict[str, Any]) -> dict[str, str]:
        name = self._dataset.file_name
        entry = content.get(name, {})
        columns, written = (entry.get(part, {}) if isinstance(entry, dict) else None for part in ("columns", "written"))
        if not isinstance(columns, dict) or not isinstance(written, dict):
            raise CatalogParameterError(
                f"{self._where}: the entry {name!r} has no objects 'columns' and 'written' any more; mend it"
            )
        for column, type_name in columns.items():
            check_type(f"{self._where}: {name!r}", column, type_name)
            if written.get(column, type_name) != type_name:
                raise CatalogParameterError(
                    f"{self._where}: set {shown(column)} of {name!r} back to {written[column]!r}, the type that the "
                    f"files in {self._dataset.folder!r} have, or rewrite those as docs/storage.md shows"
                )
        return {**columns, **written}


class LocalStore:
    """Keeps it on a disk, or what is mounted there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[str | None, object]:
        """Return content, ``None`` where there is none, and version, which here is the same."""
        with storage_errors(str(self._path), self._path.parent):
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else None
            return text, text

    def write(self, content: str, version: object) -> None:
        """Write it if it still has the version, else do nothing: whoever calls this reads it again."""
        folder = self._path.parent
        with storage_errors(str(self._path), folder):
            folder.mkdir(parents=True, exist_ok=True)
            with self._lock(), closing(TemporaryFile(folder, self._path.name)) as file:
                if self.read()[1] == version:
                    file.file.write(content.encode())
                    file.move_to(self._path)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        lock = self._path.with_name(f".{self._path.name}.lock")
        while True:
            try:
                lock.touch(exist_ok=False)
                break
            except FileExistsError:
                with suppress(FileNotFoundError):
                    if time.time() - lock.stat().st_mtime > _LOCK_SECONDS:
                        log.warning("Removing %s, left by a task that was killed", lock)
                        lock.unlink()
                time.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - no secret
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


class ObjectStore:
    """Keeps it in an object store."""

    def __init__(self, path: Any) -> None:
        self._fs = path.fs
        self._path = path.path
        self._shown = str(path)

    def read(self) -> tuple[str | None, object]:
        """Return content, ``None`` where there is none, and version, where the store has versions."""
        try:
            self._fs.invalidate_cache()
            # The version first: when the content is newer, the write is refused, and not the other way round.
            info = self._fs.info(self._path)
            return self._fs.cat_file(self._path).decode(), info.get("ETag") or info.get("etag")
        except FileNotFoundError:
            return None, None
        except Exception as error:  # each store has errors of its own
            raise CatalogStorageError(f"can't read {self._shown!r}: {store_message(error)}") from error

    def write(self, content: str, version: object) -> None:
        """Write it if it still has the version, as far as the store can tell."""
        before = self.read()
        if before[1] != version:
            return
        if condition := self._condition(version):
            try:
                self._fs.pipe_file(self._path, content.encode(), **condition)
            except Exception as error:  # refused: another pull has written it, or the store knows no conditions
                if self.read() != before:
                    return
                log.debug("%s takes no conditions: %s", self._shown, store_message(error))
            else:
                return
        try:
            self._fs.pipe_file(self._path, content.encode())
        except Exception as error:  # each store has errors of its own
            raise CatalogStorageError(f"can't write {self._shown!r}: {store_message(error)}") from error
        # Another pull may have read the same version; who writes last must not be the only one to read again.
        time.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - no secret

    def _condition(self, version: object) -> dict[str, Any]:
        """Return what tells the store to write only what nobody has changed; nothing where fsspec has no way."""
        protocols = {self._fs.protocol} if isinstance(self._fs.protocol, str) else set(self._fs.protocol)
        if version is None:
            return {"mode": "create"}
        if "s3" in protocols:
            return {"IfMatch": version}
        return {"headers": {"If-Match": version}} if "abfs" in protocols else {}
