"""Where the files go that tasks write while they are killed: a folder, or S3."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Place:
    """
    :param name: for the table.
    :param url: returns the ``output_path`` of a file's name.
    :param read: returns what a file holds; None where there is none.
    :param write: puts a file there.
    :param left: returns what is there beside the files, or in the folder for temporary files.
    :param unfinished: counts the uploads that were begun and never ended, which no reader sees.
    """

    name: str
    url: Callable[[str], str]
    read: Callable[[str], bytes | None]
    write: Callable[[str, bytes], object]
    left: Callable[[], list[str]]
    unfinished: Callable[[], int] = lambda: 0


def folder(path: Path, temporary: Path, name: str = "local") -> Place:
    return Place(
        name,
        url=lambda file: str(path / file),
        read=lambda file: (path / file).read_bytes() if (path / file).exists() else None,
        write=lambda file, content: (path / file).write_bytes(content),
        left=lambda: names(temporary) + litter(names(path)),
    )


@contextmanager
def s3(temporary: Path) -> Iterator[Place]:
    from airflow_provider_catalog.output import output
    from tests.stores import servers

    # So that 12 MB go up in parts; 5 MiB are the least that S3 takes.
    output._UPLOAD_OPTIONS["s3"] = {"chunksize": 5 << 20}
    with servers.s3() as store:
        os.environ["AIRFLOW_CONN_KILLED"] = json.dumps(store.connection())
        client = store.extra["client"]

        def left() -> list[str]:
            found = client.list_objects_v2(Bucket=servers.BUCKET).get("Contents", [])
            return names(temporary) + litter([each["Key"] for each in found])

        yield Place(
            "S3",
            url=lambda file: store.url(file, "killed"),
            read=store.read,
            write=lambda file, content: client.put_object(Bucket=servers.BUCKET, Key=file, Body=content),
            left=left,
            unfinished=lambda: len(store.unfinished()),
        )


def litter(found: list[str]) -> list[str]:
    return [name for name in found if not name.startswith("rows.")]


def names(path: Path) -> list[str]:
    return sorted(found.name for found in path.iterdir())
