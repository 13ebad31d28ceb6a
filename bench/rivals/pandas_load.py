"""The script that teams write first: what is newer than the newest row that was loaded, appended."""

import os
import sys

import pandas
import sqlalchemy


def main(mode: str, table: str, cursor: str) -> None:
    source = sqlalchemy.create_engine(os.environ["SOURCE_URL"])
    warehouse = sqlalchemy.create_engine(os.environ["WAREHOUSE_URL"])
    newest = None
    if mode == "incremental" and sqlalchemy.inspect(warehouse).has_table(table):
        with warehouse.connect() as connection:
            newest = connection.execute(sqlalchemy.text(f'select max("{cursor}") from "{table}"')).scalar()
    newer = "" if newest is None else f' where "{cursor}" > %(newest)s'
    rows = pandas.read_sql(
        f'select * from "{table}"{newer}', source, params=None if newest is None else {"newest": newest}
    )
    if_exists = "append" if mode == "incremental" else "replace"
    rows.to_sql(table, warehouse, if_exists=if_exists, index=False)


main(*sys.argv[1:4])
