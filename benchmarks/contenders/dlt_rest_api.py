"""dlt's ``rest_api`` source, to Parquet (``DLT_FORMAT=jsonl``: to JSON Lines)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import dlt
from dlt.destinations import filesystem
from dlt.sources.rest_api import rest_api_source

from benchmarks.contenders.measured import run


def pull(url: str, path: str) -> int:
    """Run a pipeline whose only file ends up at the path."""
    work = Path(path + ".dlt")
    shutil.rmtree(work, ignore_errors=True)
    source = rest_api_source(
        {
            "client": {
                "base_url": url,
                "headers": {"Authorization": 'Token token="token"'},
                "paginator": "header_link",
            },
            "resources": [
                {
                    "name": "enrollments",
                    "endpoint": {
                        "path": "api/v1/analytics/enrollments",
                        "method": "POST",
                        "params": {"per_page": 100},
                        "json": {},
                        "data_selector": "enrollments",
                    },
                    "max_table_nesting": 0,
                }
            ],
        }
    )
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(work / "pipelines"),
        destination=filesystem(bucket_url=str(work / "out")),
        dataset_name="data",
    )
    kind = os.environ.get("DLT_FORMAT", "parquet")
    pipeline.run(source, loader_file_format=kind).raise_on_failed_jobs()
    [file] = (work / "out" / "data" / "enrollments").glob("*")
    shutil.move(file, path)
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    run(pull)
