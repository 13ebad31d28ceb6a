-- Every awkward shape of table that a source may have (docs/tables.md). Run as a superuser in an empty database.
-- shapes-changes.sql changes something in nearly each.

-- Names: quotes, dots, percent, spaces, emoji, reserved words, 63 bytes, and those that our own SQL uses.
create table "Order ""Lines"" 100% é🐘" (
  "Order Id" integer, "line.no" integer, "select" text, "Quo""te" text, "back\slash" text, "it's" text,
  "per%cent" text, "🐘" text, "%s" text, "{brace}" text, "comma,name" text, "c0" text, "$1" text, "-- x" text, " " text,
  primary key ("line.no", "Order Id")
);
insert into "Order ""Lines"" 100% é🐘"
select a, b, 'select', '"', '\', '''', '%', '🐘', '%s', '{}', ',', 'c0', '$1', '--', ' ' from generate_series(1, 3) a, generate_series(1, 3) b;

create table "select" ("from" integer primary key, "where" text, "order" integer, "group" text, "user" text, "table" text, "default" text);
insert into "select" values (1, 'where', 1, null, 'user', '', 'default'), (2, 'w', 2, 'g', null, 't', 'd');

create table "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" ("éééééééééééééééééééééééééééééééx" integer primary key, "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" text);
insert into "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" values (1, 'a'), (2, 'b');

create table ours (
  o integer primary key, n integer, b text, s text, k text, since text, digest text, rowid text, filename text,
  file_row_number text, file_index text, c0 text, c1 integer, rows text, base text, op text, main text
);
insert into ours select i, i, 'b', 's', 'k', 'since', 'digest', 'rowid', 'filename', 'number', 'index', 'c0', i, 'rows', 'base', 'op', 'main'
from generate_series(1, 5) i;

create table "a.b" (id integer primary key, x text);
insert into "a.b" values (1, 'dot');
create table "dir/../up" (id integer primary key, x text);
insert into "dir/../up" values (1, 'slash');
create table "_manifests" (id integer primary key, x text);
insert into "_manifests" values (1, 'a name that the lake uses');
create table "constructor" (id integer primary key, "__proto__" text, "constructor" text);
insert into "constructor" values (1, 'a name', 'that JavaScript uses');

-- Names that differ only in case.
create table "Twin" (id integer primary key, "Id" integer, "ID" text);
create table twin (id integer primary key, "Only" text);
insert into "Twin" values (1, 2, 'three');
insert into twin values (1, 'lower');

-- One name in several schemas, one of which needs every byte of its name.
create schema sales;
create schema "Stock Room";
create schema "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc";
create table item (id integer primary key, place text);
create table sales.item (id integer primary key, place text);
create table "Stock Room".item (id integer, shelf integer, place text, primary key (shelf, id));
create table "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc"."🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" (id integer primary key, place text);
insert into item values (1, 'public');
insert into sales.item values (1, 'sales'), (2, 'sales');
insert into "Stock Room".item values (1, 1, 'room'), (1, 2, 'room');
insert into "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc"."🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" values (1, 'long');

-- Keys: none, unique but not primary, one that NULLs make useless, the replica identity's.
create table keyless (a integer, b text, c numeric, d timestamptz);
insert into keyless values (1, 'one', 1.0, '2024-01-01 00:00Z'), (1, 'one', 1.0, '2024-01-01 00:00Z'), (1, 'one', 1.00, '2024-01-01 00:00Z'),
  (null, null, null, null), (null, null, null, null), (null, '', null, null), (2, 'n', null, null), (2, null, null, null);
insert into keyless select i % 7, 'many', i % 3, null from generate_series(1, 500) i;
create table keyless_json (doc json, at point);
insert into keyless_json values ('{"a": 1}', '(1,2)'), ('{"a":1}', '(1,2)'), ('{"a":1}', '(1,2)'), (null, null);
create table unique_only (code text not null unique, name text);
insert into unique_only values ('a', 'A'), ('b', null);
create table unique_nulls (code text unique, name text);
insert into unique_nulls values (null, 'x'), (null, 'x'), ('a', 'y');
create table replicated (a integer not null, b integer not null unique, c text);
create unique index replicated_a on replicated (a);
alter table replicated replica identity using index replicated_a;
insert into replicated values (1, 10, 'x'), (2, 20, 'y');

-- Partitions: of two levels, with a default one, without a key, and with columns in another order.
create table parted (id integer, region text, at date, note text, primary key (id, region, at)) partition by list (region);
create table parted_north partition of parted for values in ('north') partition by range (at);
create table parted_north_old partition of parted_north for values from (minvalue) to ('2024-01-01');
create table parted_north_new (note text, at date not null, gone integer, region text not null, id integer not null);
alter table parted_north_new drop column gone;
alter table parted_north attach partition parted_north_new for values from ('2024-01-01') to (maxvalue);
create table parted_other partition of parted default;
insert into parted values (1, 'north', '2023-06-01', 'old'), (1, 'north', '2024-06-01', 'new'),
  (1, 'south', '2024-01-01', 'other'), (2, 'west', '2024-01-01', null);
create table parted_keyless (id integer, note text) partition by hash (id);
create table parted_keyless_0 partition of parted_keyless for values with (modulus 2, remainder 0);
create table parted_keyless_1 partition of parted_keyless for values with (modulus 2, remainder 1);
insert into parted_keyless select i % 5, 'p' from generate_series(1, 20) i;
create table parted_empty (id integer primary key) partition by range (id);

-- Inheritance: the same key in parent and child.
create table parent (id integer primary key, note text);
create table child (own integer) inherits (parent);
create table grandchild (primary key (id)) inherits (child);
insert into parent values (1, 'parent'), (2, 'parent');
insert into child values (1, 'child', 1), (1, 'child', 1);
insert into grandchild values (1, 'grandchild', 2);

-- Columns that the server fills.
create table filled (
  id integer generated always as identity primary key, other serial,
  price numeric(10,2) not null, vat numeric(10,2) generated always as (price * 0.2) stored, label text default 'none'
);
insert into filled (price) values (1.00), (2.50), (9.99);
do $$ begin
  if current_setting('server_version_num')::integer >= 180000 then
    -- As text: an older server would not parse it.
    execute 'alter table filled add gross numeric(10,2) generated always as (price * 1.2) virtual';
  end if;
end $$;

-- Sizes: no row, no column, and as many columns as there can be.
create table empty_keyed (id integer primary key, note text);
create table empty_keyless (note text);
create table no_columns ();
insert into no_columns default values;
insert into no_columns default values;
create table dropped (gone integer);
alter table dropped drop column gone;
insert into dropped default values;
do $$ begin
  execute (select format('create table wide (id integer primary key, %s)', string_agg(format('c%s integer', i), ', ' order by i))
    from generate_series(1, 1599) i);
end $$;
insert into wide (id, c1, c800, c1599) values (1, 1, 2, 3), (2, null, null, 6), (3, 0, 0, 0);

-- Relations that are not tables.
create view seen as select i.place, count(*) as items from "Stock Room".item i group by i.place union all select 'none', 0;
create view "Seen Twice" as select note from child;
create materialized view kept as select region, count(*) as parts from parted group by region;
create unique index on kept (region);

-- A foreign table, where the server has the wrapper.
do $$ begin
  if exists (select from pg_available_extensions where name = 'file_fdw') then
    create extension file_fdw;
    create server files foreign data wrapper file_fdw;
    create foreign table from_file (line text, n integer) server files options (program 'printf "a,1\na,1\n,2\n"', format 'csv');
  end if;
end $$;

-- The test reads as a role without any right of its own.
grant usage on schema sales, "Stock Room", "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" to public;
grant select on all tables in schema public, sales, "Stock Room", "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" to public;
