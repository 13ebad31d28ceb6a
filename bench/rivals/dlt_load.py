"""One load of a table by dlt, as its documentation says: whole, or by a cursor and merged."""

import os
import sys

import dlt
from dlt.sources.sql_database import sql_table

# dlt's default, and what its page on performance recommends between two databases.
BACKENDS = {"default": "sqlalchemy", "best": "connectorx"}


def main(settings: str, mode: str, table: str, key: str, cursor: str) -> None:
    by_cursor = mode == "incremental"
    rows = sql_table(
        credentials=os.environ["SOURCE_URL"],
        schema="public",
        table=table,
        backend=BACKENDS[settings],
        reflection_level="full_with_precision",
        incremental=dlt.sources.incremental(cursor) if by_cursor else None,
    )
    pipeline = dlt.pipeline(
        pipeline_name=f"rival_{table}",
        pipelines_dir=os.environ["STATE"],
        destination=dlt.destinations.postgres(os.environ["WAREHOUSE_URL"]),
        dataset_name="public",
    )
    pipeline.run(
        rows,
        write_disposition="merge" if by_cursor else "replace",
        primary_key=key,
        loader_file_format="csv" if settings == "best" else None,
    )


main(*sys.argv[1:6])
