-- Names that something on the way to the warehouse keeps for itself, and keys of everything that can be one.
-- Run as a superuser in an empty database. hostile-changes.sql changes something in nearly each.

-- Names of ours: schemas, tables, columns, in keys and beside them.
create schema tote;
create schema main;
create schema temp;
create schema seeds;
create schema changes;
create schema information;
create table tote.customer (id integer primary key, name text);
create table main.main (main integer primary key, temp text);
create table temp.temp (id integer primary key, t text);
create table seeds.seeds (id integer primary key, s text);
create table changes.changes (id integer primary key, c text);
create table information.tables (id integer primary key, i text);
insert into tote.customer values (1, 'in a schema called tote');
insert into main.main values (1, 'main'), (2, null);
insert into temp.temp values (1, 'temp');
insert into seeds.seeds values (1, 'seeds');
insert into changes.changes values (1, 'changes');
insert into information.tables values (1, 'tables');
create table ledger (batch integer primary key, valid_from timestamptz not null, pipeline text);
create table record_id (record_id integer primary key, dim_record_id integer, record_id_record_id integer);
create table valid_from (valid_from date, valid_to date, is_deleted boolean, batch integer, note text, primary key (valid_from, batch));
create table is_deleted ("IS_DELETED" boolean, "Batch" integer primary key, "Valid_From" text, source_batch text, source_is_deleted text);
create table _tote_op (id integer primary key, op text);
create table _tote_row (a integer, b text);
create table tote_stage_0 (id integer primary key, v text);
create table _pairs (id integer primary key, v text);
insert into ledger select n, '2024-01-01Z', 'p' from generate_series(1, 4) n;
insert into record_id select n, n, n from generate_series(1, 3) n;
insert into valid_from select date '2024-01-01' + n, null, n % 2 = 0, n, 'note' from generate_series(1, 4) n;
insert into is_deleted select n % 2 = 0, n, 'f', 'b', 'd' from generate_series(1, 4) n;
insert into _tote_op values (1, 'u'), (2, 'd');
insert into _tote_row values (1, 'a'), (1, 'a'), (2, null);
insert into tote_stage_0 values (1, 'v');
insert into _pairs values (1, 'v');
-- Refused, and told of.
create table ours_alone (id integer primary key, _tote_batch integer);

-- Names that hold what ends a line, a statement, a text or a comment.
create table U&"line\000abreak" (id integer primary key, U&"col\000aumn" text, U&"tab\0009here" text, U&"cr\000d" text);
create table "*/ drop table x; --" (id integer primary key, "/* */ '" text, "$$" text, "$tote$" text, "?" text, ":x" text, "@x" text);
create table "''" ("''" integer primary key, "\" text, "\n" text, "%1$s" text, "${x}" text, "`x`" text);
create table "[x]" ("[x]" integer primary key, "(x)" text, "{x}" text, "a=b" text, "a:b" text, "a/b" text, "#x" text);
create table "nul" ("con" integer primary key, "aux" text);
create table "." ("." integer primary key, ".." text);
create table ".." ("id" integer primary key, v text);
create table " lead" (" lead" integer primary key, "trail " text);
create table "trail " (id integer primary key, v text);
create table "*" ("*" integer primary key, "a*" text);
create table "a*b" (id integer primary key, v text);
create table "all" ("all" integer primary key, "none" text, "distinct" text);
create table "table" ("column" integer primary key, "values" text, "row" text, "lambda" text, "qualify" text, "pivot" text);
insert into U&"line\000abreak" values (1, 'x', 'y', 'z');
insert into "*/ drop table x; --" values (1, 'a', 'b', 'c', 'd', 'e', 'f');
insert into "''" values (1, 'a', 'b', 'c', 'd', 'e');
insert into "[x]" values (1, 'a', 'b', 'c', 'd', 'e', 'f');
insert into "nul" values (1, 'a');
insert into "." values (1, 'a');
insert into ".." values (1, 'a');
insert into " lead" values (1, 'a');
insert into "trail " values (1, 'a');
insert into "*" values (1, 'a');
insert into "a*b" values (1, 'a');
insert into "all" values (1, 'a', 'b');
insert into "table" values (1, 'a', 'b', 'c', 'd', 'e');

-- Names that look alike: composed and not, of other scripts, those that grow or meet when they are put in lower case.
create table U&"caf\00e9" (id integer primary key, U&"\00e9" text, U&"e\0301" text);
create table U&"cafe\0301" (id integer primary key, v text);
create table U&"\0130stanbul" (id integer primary key, U&"\0130" text, "I" text, U&"\0131" text, i text);
create table U&"\212A" (id integer primary key, U&"\212A" text, "K" text, k text);
create table "ÄÖ" (id integer primary key, "Straße" text, "STRASSE" text, "ẞ" text, "ß" text);
create table "äö" (id integer primary key, "Σ" text, "σ" text, "ς" text);
create table U&"\200bzero" (id integer primary key, U&"a\200d" text, U&"\feffb" text, U&"\202eltr" text);
create table "שלום" (id integer primary key, "مرحبا" text, "日本" text, "👩‍👩‍👧" text);
create table "order item" (id integer primary key, v text);
create table "order-item" (id integer primary key, v text);
create table "OrderItem" (id integer primary key, v text);
create table "order__item" (id integer primary key, v text);
create table "!!!" (id integer primary key, "???" text, "—" text);
create table "—" (id integer primary key, v text);
create table "123" ("123" integer primary key, "1e5" text, "0x1" text);
insert into U&"caf\00e9" values (1, 'composed', 'not');
insert into U&"cafe\0301" values (1, 'not composed');
insert into U&"\0130stanbul" values (1, 'a', 'b', 'c', 'd');
insert into U&"\212A" values (1, 'kelvin', 'K', 'k');
insert into "ÄÖ" values (1, 'a', 'b', 'c', 'd');
insert into "äö" values (1, 'a', 'b', 'c');
insert into U&"\200bzero" values (1, 'a', 'b', 'c');
insert into "שלום" values (1, 'a', 'b', 'c');
insert into "order item" values (1, 'blank');
insert into "order-item" values (1, 'hyphen');
insert into "OrderItem" values (1, 'camel');
insert into "order__item" values (1, 'two');
insert into "!!!" values (1, 'a', 'b');
insert into "—" values (1, 'a');
insert into "123" values (1, 'a', 'b');

-- Schema and name are one text.
create schema a;
create schema "a.b";
create table a."b.c" (id integer primary key, v text);
create table "a.b".c (id integer primary key, v text);
create table a."public.twin" (id integer primary key, v text);
insert into a."b.c" values (1, 'a');
insert into "a.b".c values (1, 'a.b'), (2, 'a.b');
insert into a."public.twin" values (1, 'a');

-- Many columns, of long names, in a fact and in a dimension; keys of five columns.
do $$ begin
  execute (select format('create table wide (id integer primary key, at timestamptz not null, amount numeric(10,2), %s)',
      string_agg(format('a_rather_long_name_of_a_column_that_somebody_took_for_clear_%s text', i), ', ' order by i))
    from generate_series(1, 300) i);
end $$;
insert into wide (id, at, amount, a_rather_long_name_of_a_column_that_somebody_took_for_clear_7) select n, '2024-01-01Z', n, 'seven' from generate_series(1, 5) n;
create table five (
  a smallint, b text, c date, d uuid, e numeric(12, 3), v text not null, "at" timestamptz not null default '2024-01-01Z', amount numeric not null default 1,
  primary key (e, c, a, d, b)
);
insert into five (a, b, c, d, e, v) select n, 'b' || n, date '2024-01-01' + n, md5(n::text)::uuid, n / 8.0, 'v' from generate_series(1, 30) n;
create table five_child (
  id integer primary key, a smallint, b text, c date, d uuid, e numeric(12, 3),
  foreign key (e, c, a, d, b) references five deferrable initially deferred
);
insert into five_child select n, n, 'b' || n, date '2024-01-01' + n, md5(n::text)::uuid, n / 8.0 from generate_series(1, 10) n;

-- Keys of every kind.
create type level as enum ('low', 'it''s', E'new\nline', '"quoted"', '');
create domain code as varchar(10) check (value <> '');
create table key_enum (k level primary key, v text);
create table key_domain (k code primary key, v text);
create table key_char (k char(5) primary key, v text);
create table key_text (k text primary key, v text);
create table key_bytea (k bytea primary key, v text);
create table key_numeric (k numeric primary key, v text);
create table key_float (k double precision primary key, v text);
create table key_real (k real primary key, v text);
create table key_boolean (k boolean primary key, v text);
create table key_time (k timestamptz primary key, v text);
create table key_day (k date primary key, v text);
create table key_interval (k interval primary key, v text);
create table key_inet (k inet primary key, v text);
create table key_jsonb (k jsonb primary key, v text);
create table key_array (k integer[] primary key, v text);
create table key_range (k daterange primary key, v text);
create table key_bits (k bit varying primary key, v text);
create table key_money (k money primary key, v text);
create table key_oid (k oid primary key, v text);
create table key_name (k name primary key, v text);
insert into key_enum select unnest(enum_range(null::level)), 'v';
insert into key_domain values ('a', 'v'), ('A', 'v'), (' a', 'v');
insert into key_char values ('a', 'v'), ('A', 'v'), (' a', 'v');
insert into key_text values ('', 'v'), ('a', 'v'), ('A', 'v'), ('a ', 'v'), (E'a\n', 'v'), ('NULL', 'v'), ('\N', 'v'), (U&'\00e9', 'v'), (U&'e\0301', 'v'), ('"', 'v'), (',', 'v');
insert into key_bytea values ('', 'v'), ('\x00', 'v'), ('\x0000', 'v'), ('\xff', 'v');
insert into key_numeric values ('NaN', 'v'), (0, 'v'), (-1.50, 'v'), (1e40, 'v'), (1e-40, 'v');
insert into key_float values ('NaN', 'v'), ('-0', 'v'), ('Infinity', 'v'), ('-Infinity', 'v'), (0.1, 'v'), (1e-320, 'v');
insert into key_real values ('NaN', 'v'), ('-0', 'v'), ('Infinity', 'v'), (0.1, 'v'), (1e-40, 'v');
insert into key_boolean values (true, 'v'), (false, 'v');
insert into key_time values ('infinity', 'v'), ('-infinity', 'v'), ('0001-01-01Z BC', 'v'), ('2024-01-01 00:00:00.000001Z', 'v'), ('2024-01-01Z', 'v');
insert into key_day values ('infinity', 'v'), ('-infinity', 'v'), ('0001-01-01 BC', 'v'), ('2024-02-29', 'v');
insert into key_interval values ('1 mon', 'v'), ('31 days', 'v'), ('-1 us', 'v');
insert into key_inet values ('10.0.0.1', 'v'), ('10.0.0.1/8', 'v'), ('::1', 'v');
insert into key_jsonb values ('null', 'v'), ('1.0', 'v'), ('"a"', 'v'), ('{"b": 1, "a": [null]}', 'v');
insert into key_array values ('{}', 'v'), ('{null}', 'v'), ('{1,2}', 'v'), ('[0:1]={1,2}', 'v');
insert into key_range values ('empty', 'v'), ('(,)', 'v'), ('[2024-01-01,2024-02-01)', 'v');
insert into key_bits values (B'', 'v'), (B'0', 'v'), (B'00', 'v');
insert into key_money values (1.5, 'v'), (-2, 'v');
insert into key_oid values (4294967295, 'v'), (0, 'v');
insert into key_name values ('n', 'v'), ('', 'v');

-- References: in circles, to itself, to its own key, to a partition, and one column to two tables.
create table self (id integer primary key references self, up integer references self, v text);
insert into self values (1, null, 'a'), (2, 1, 'b'), (3, 3, 'c');
create table egg (id integer primary key, hen integer not null, v text);
create table hen (id integer primary key, egg integer not null references egg, v text);
alter table egg add foreign key (hen) references hen deferrable initially deferred;
begin;
insert into egg select n, n, 'egg' from generate_series(1, 3) n;
insert into hen select n, n, 'hen' from generate_series(1, 3) n;
commit;
create table one (id integer primary key);
create table two (id integer primary key references one);
alter table one add foreign key (id) references two deferrable initially deferred;
begin;
insert into one values (1), (2);
insert into two values (1), (2);
commit;
create table both_ways (id integer primary key, other integer references one references hen, "other too" integer, foreign key ("other too") references egg not valid);
insert into both_ways values (1, 1, 1), (2, null, null);
create table slices (id integer, at date, v text, primary key (id, at)) partition by range (at);
create table "slices.1" partition of slices for values from ('2024-01-01') to ('2025-01-01');
create table "Slices" partition of slices default;
insert into slices values (1, '2024-05-05', 'in'), (1, '2020-05-05', 'out');
create table of_slices (id integer primary key, slice integer, at date, foreign key (slice, at) references slices);
insert into of_slices values (1, 1, '2024-05-05');

-- Constraints that say what they like.
create table judged (
  id integer primary key, "user" text check ("user" <> 'nobody'), "current_date" date check ("current_date" > '1900-01-01'), f double precision check (f > 0 or f <> f),
  code text check (code ~ '^[A-Z]+$'), lower text check (lower = lower(lower)), kind text check (kind in ('a', 'it''s', E'new\nline', '"')), n numeric(30, 25) check (n < 1),
  at timestamptz check (at > '2000-01-01Z'), "case" text check (("case") is not null or id > 0), arr integer[] check (array_length(arr, 1) < 5), b boolean check (b),
  constraint "*/ odd; --" check (id > 0 and id < 1000000 or id = -1)
);
comment on table judged is E'*/ -- kind: fact\n-- key: f';
comment on column judged.code is E'line\n-- nullable: id\r\u2028*/';
insert into judged (id, f, kind, lower, n, b) select n, case n when 3 then 'NaN'::float8 else n end, (array['a', 'it''s', E'new\nline', '"'])[n], 'l', n / 10.0, true from generate_series(1, 4) n;

-- Views on views, called as models would be.
create view dim_self as select * from self;
create view fact_wide_current as select id, at from wide;
create view "view of a view" as select * from dim_self join fact_wide_current using (id);

-- Columns that the server fills, dropped ones, typed tables, types of rows.
create type pair_of as (a integer, "b c" text);
create table typed of pair_of (a primary key);
create table composed (id integer primary key, p pair_of, ps pair_of[], gone integer, twice integer generated always as (id * 2) stored, seq bigint generated always as identity);
alter table composed drop column gone;
insert into typed values (1, 'x'), (2, null);
insert into composed (id, p, ps) values (1, row(1, E'a,"b"\n'), array[row(null, '')::pair_of, null]), (2, null, '{}');
create unlogged table unlogged (id integer primary key, v text);
insert into unlogged values (1, 'v');
