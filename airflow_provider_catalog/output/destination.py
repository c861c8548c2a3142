"""Where the output goes, and in which format: read from the operator's parameters, checked before the first request."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import quote

from airflow_provider_catalog.errors import CatalogParameterError
from airflow_provider_catalog.output.dataset import Dataset, LocalStore, ObjectStore, SchemaFile
from airflow_provider_catalog.output.store_check import check_store, store_message
from airflow_provider_catalog.output.temporary import check_folder, storage_errors

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(.*)", re.DOTALL)
_LOCAL_SCHEMES = ("file", "local")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "adl": "azure"}
_AZURE_HOST = re.compile(r".*\.(dfs|blob)\.core\.[a-z.]+", re.IGNORECASE)
_NO_CLIENT = re.compile("No filesystem registered|Unsupported filesystem|Protocol not known")
"""What Airflow, universal_pathlib and fsspec say of a scheme that nothing is installed for."""
_URL_SAFE = "/=:@,+"
"""What stays as it is in a URL; an equals sign for the sake of folders such as day=2026-01-01."""
_SUFFIXES = "'.jsonl', '.csv' (each also with '.gz') or '.parquet'"


@dataclass(frozen=True)
class Destination:
    """A file to be written."""

    path: str
    """Absolute, or a URL, before whose ``@`` stands an Airflow connection."""
    format: Format
    is_gzipped: bool = False

    @classmethod
    def parse(
        cls, output_path: str | os.PathLike[str] | ObjectStoragePath, output_format: str | None = None
    ) -> Destination:
        """Read the operator's parameters; touches no file system. Whether to compress is always the suffix's say."""
        text = _path_text(output_path)
        name = text.rpartition("/")[2].lower()
        if not name or name in (".", "..", "~"):
            raise CatalogParameterError(f"output_path={text!r} names a folder; add a file name")
        is_gzipped = name.endswith(".gz")
        file_format = _format(text, name.removesuffix(".gz"), output_format)
        if is_gzipped and file_format == "parquet":
            raise CatalogParameterError(f"output_path={text!r}: a Parquet file is compressed inside; leave out '.gz'")
        return cls(_canonical(text), file_format, is_gzipped)

    @property
    def scheme(self) -> str | None:
        """The URL's scheme; ``None`` for a local path."""
        match = _URL.match(self.path)
        return match[1].lower() if match else None

    @property
    def dataset(self) -> Dataset | None:
        """The dataset that the file belongs to; ``None`` where it has no Hive folders, or no columns."""
        return None if self.format == "jsonl" else Dataset.of(self.path)

    @property
    def uri(self) -> str:
        """The file's URL without a connection, which assets and lineage know it by."""
        if self.scheme is None:
            return f"file://{quote(self.path, safe=_URL_SAFE)}"
        scheme, _, rest = self.path.partition("://")
        host, _, key = rest.partition("/")
        return f"{scheme.lower()}://{host.rpartition('@')[2]}/{quote(key, safe=_URL_SAFE)}"

    def check(self) -> None:
        """Check what can be known before there is anything to write."""
        if self.format == "parquet":
            _check_pyarrow()
        dataset = self.dataset
        if dataset and not dataset.schema_path:
            log.warning(
                "output_path=%r: put a folder above its first Hive folder, beside which columns are remembered; as it "
                "is, each file has types of its own",
                self.path,
            )
        if self.scheme is None:
            self._check_local()
        else:
            path = self.object_path()
            if self.scheme in _EXTRAS:  # of other file systems it is not known what is there before the first file
                check_store(path, self.path)

    def local_path(self) -> Path:
        """Return the local path; where it is a symbolic link, that of the file it leads to."""
        return Path(os.path.realpath(self.path))

    def schema_file(self) -> SchemaFile | None:
        """Return the schema file of the dataset that the file belongs to, if any."""
        dataset = self.dataset
        if not dataset or not (path := dataset.schema_path):
            return None
        return SchemaFile(
            dataset, LocalStore(Path(path)) if self.scheme is None else ObjectStore(self.object_path(path))
        )

    def unfinished_folder(self) -> Path:
        """Return the folder for unfinished files: beside the file, or the folder for temporary files."""
        if self.scheme is not None:
            return Path(tempfile.gettempdir())
        folder = next(parent for parent in self.local_path().parents if parent.exists())
        if not folder.is_dir():
            raise CatalogParameterError(f"output_path={self.path!r}: {str(folder)!r} is a file, not a folder")
        if self.dataset:  # beside it: some readers refuse a folder with other files
            above = Path(os.path.realpath(self.dataset.folder)).parent
            if above.is_dir() and above.stat().st_dev == folder.stat().st_dev:
                return above
        return folder

    def object_path(self, path: str | None = None) -> ObjectStoragePath:
        """Return the path in an object store: of the file, or of another URL of the same store."""
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        try:
            found = ObjectStoragePath(path or self.path)
            _prepare(found.fs)  # the client is only imported here
        except ImportError as error:
            raise CatalogParameterError(f"output_path={self.path!r}: {self._remedy()} ({error})") from error
        except Exception as error:  # each provider has errors of its own for a connection that is not as it should be
            remedy = self._remedy() if _NO_CLIENT.search(str(error)) else "the connection can't be used"
            raise CatalogParameterError(
                f"output_path={self.path!r}: {remedy} ({store_message(error)})",
                # A secrets backend, or the server that gives out credentials, may only be down.
                retryable=not isinstance(error, ValueError) and type(error).__name__ != "AirflowNotFoundException",
            ) from error
        return found

    def _remedy(self) -> str:
        extra = _EXTRAS.get(self.scheme or "")
        if extra:
            return f"{self.scheme}:// needs pip install 'airflow-provider-catalog[{extra}]'"
        known = ", ".join(f"{scheme}://" for scheme in ("file", *_EXTRAS))
        return f"nothing that is installed knows {self.scheme}://; known are {known} and those of other providers"

    def _check_local(self) -> None:
        path = self.local_path()
        with storage_errors(self.path, path.parent):
            if path.is_dir():
                raise CatalogParameterError(f"output_path={self.path!r} is a folder; add a file name")
            if path.exists() and not path.is_file():
                raise CatalogParameterError(f"output_path={self.path!r} is a device or a pipe, not a file")
            folder = self.unfinished_folder()
        with storage_errors(self.path, folder):
            check_folder(folder, path.name)


def check_format(output_format: str) -> Format:
    """Return the parameter ``output_format``."""
    if output_format in FORMATS:
        return output_format
    raise CatalogParameterError(f"output_format={output_format!r} is not one of {', '.join(map(repr, FORMATS))}")


def _path_text(output_path: Any) -> str:
    if isinstance(output_path, str):
        text = output_path
    elif hasattr(output_path, "protocol"):  # an ObjectStoragePath, told without importing it
        text = str(output_path)  # with its connection before an "@"
        if options := sorted(set(getattr(output_path, "storage_options", {})) - {"conn_id"}):
            raise CatalogParameterError(
                f"output_path={text!r}: set {', '.join(options)} in the connection's extra; Airflow drops the "
                "options of an ObjectStoragePath"
            )
    elif isinstance(output_path, os.PathLike):
        text = os.fspath(output_path)
    else:
        raise CatalogParameterError(
            f"output_path must be a path, a URL or an ObjectStoragePath, not {type(output_path).__name__}"
        )
    if "\0" in text:
        raise CatalogParameterError("output_path has a NUL character")
    return text


def _format(text: str, name: str, output_format: str | None) -> Format:
    suffix = next((known for known in FORMATS if name.endswith(f".{known}")), None)
    if output_format is None:
        if suffix:
            return suffix
        raise CatalogParameterError(
            f"output_path={text!r} does not end in {_SUFFIXES}; change it, or say output_format"
        )
    if suffix and suffix != check_format(output_format):
        # Whoever reads the file would be misled by its name.
        raise CatalogParameterError(
            f"output_path={text!r} ends in '.{suffix}', but output_format is {output_format!r}; change one of them"
        )
    return check_format(output_format)


def _canonical(text: str) -> str:
    """Return an absolute local path, or a URL whose user part is a connection's id."""
    match = _URL.fullmatch(text)
    if match is None:
        try:
            path = Path(text).expanduser()
        except RuntimeError as error:
            raise CatalogParameterError(f"output_path={text!r}: {error}") from error
        if not path.is_absolute():
            raise CatalogParameterError(
                f"output_path={text!r}: write an absolute path such as '/data/orders.csv', one that begins with '~/', "
                "or a URL; workers run in folders of their own"
            )
        return str(path)
    scheme, rest = match[1].lower(), match[2]
    host = rest.partition("/")[0]
    if scheme in _LOCAL_SCHEMES:
        # A connection makes no difference to local files.
        rest = rest.removeprefix(host) if host.endswith("@") else rest
        if not rest.startswith("/"):
            raise CatalogParameterError(f"output_path={text!r}: write an absolute path, as in 'file:///folder/name'")
        return rest
    if ":" in host.rpartition("@")[0]:
        # Its parts are not shown: one of them is likely a secret.
        raise CatalogParameterError(
            f"output_path: before the '@' of a {scheme}:// URL stands the id of an Airflow connection, "
            "never a user name and password"
        )
    if _AZURE_HOST.fullmatch(host):
        container, _, account = host.rpartition("@")
        raise CatalogParameterError(
            f"output_path={text!r}: write {scheme}://CONNECTION@{container or 'CONTAINER'}/..., with the id of a "
            f"connection of the type wasb whose login is the account {account.partition('.')[0]!r}"
        )
    return text


def _prepare(fs: Any) -> None:
    """Keep S3's client from sending checksums that S3-compatible servers don't know, unless the connection says so."""
    if getattr(fs, "endpoint_url", None) and isinstance(config := getattr(fs, "config_kwargs", None), dict):
        config.setdefault("request_checksum_calculation", "when_required")
        config.setdefault("response_checksum_validation", "when_required")


def _check_pyarrow() -> None:
    try:
        import pyarrow.parquet  # noqa: F401 - heavy
    except ImportError as error:
        raise CatalogParameterError(
            f"Parquet needs pip install 'airflow-provider-catalog[parquet]' ({error})"
        ) from error
