-- A schema written to be awkward: every type of PostgreSQL, with the values at its edges.
-- Row 1 is NULL all over; whoever uses the schema may delete, copy and overwrite rows by their id.

create extension hstore;
create extension citext;
create extension ltree;
create extension cube;
create extension isn;

create type mood as enum ('good', 'it''s', '', 'a,b');
create type "Mixed Case" as enum ('x', 'X');
create domain posint as integer check (value > 0);
create domain price as numeric(10,2);
create domain short as varchar(3);
create domain prices as numeric(6,2)[];
create domain feeling as mood;
create domain deep as posint;
create type pair as (a integer, b text);
create type nest as (p pair, list text[], "odd Name" timestamptz);
create type textrange as range (subtype = text, collation = "C");

create table numbers (
  id integer primary key,
  small smallint, normal integer, large bigint, real_ real, double_ double precision,
  free numeric, fixed numeric(10,2), whole numeric(5), hundreds numeric(5,-2), tiny numeric(2,5), wide numeric(38,10), wider numeric(50,20),
  cash money, flag boolean, object oid, serial_number serial);
insert into numbers values
  (1, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, 1),
  (2, -32768, -2147483648, -9223372036854775808, '-0', '-0', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', '-92233720368547758.08', false, 0, 2),
  (3, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN', 'Infinity', -99999999.99, 99999, 1234567, 0.00012, 1234567890123456789012345678.0000000001, 1.00000000000000000001, '92233720368547758.07', true, 4294967295, 2147483647),
  (4, 0, 0, 9007199254740993, 'Infinity', '-Infinity', '-Infinity', 0, 0, 0, 0, 0, 0, 0, true, 1, 4),
  (5, 1, 1, 1, 1e-45, 5e-324, 1e-400, 0.1, -1, 100, -0.00001, -0.0000000001, 123456789012345678901234567890, 0.01, false, 2, 5),
  (6, 2, 2, 2, 3.4028235e38, 1.7976931348623157e308, 12345678901234567890123456789012345678901234567890.5, 1.10, 7, -100, 0.00001, 1.1, 0.1, -1, true, 3, 6),
  (7, 3, 3, 3, 0.1, 0.30000000000000004, 1.50, 2.2, 8, 9999900, 0.00099, 9999999999999999999999999999.9999999999, -1, 1234.5, null, 4, 7);

create table times (
  id integer primary key,
  day date, clock time, clock_3 time(3), zoned_clock timetz, zoned_clock_2 timetz(2),
  moment timestamp, moment_3 timestamp(3), instant timestamptz, instant_0 timestamptz(0),
  span interval, span_months interval year to month, span_2 interval second(2));
insert into times values
  (1, null, null, null, null, null, null, null, null, null, null, null, null),
  (2, 'infinity', '24:00', '24:00', '24:00-12', '23:59:59.99+15:59', 'infinity', 'infinity', 'infinity', 'infinity', '178000000 years', '1 year', '0.01'),
  (3, '-infinity', '00:00', '00:00', '00:00+00', '00:00+00', '-infinity', '-infinity', '-infinity', '-infinity', '-178000000 years', '-1 mon', '-0.01'),
  (4, '4713-01-01 BC', '23:59:59.999999', '23:59:59.999', '12:00:00.000001+05:30', '12:00-03:30', '4713-01-01 00:00 BC', '4713-01-01 BC', '4713-01-01 00:00+00 BC', '4713-01-02 BC', '1 year -2 mons +3 days -04:05:06.000007', '0', '0'),
  (5, '5874897-12-31', '07:55:10.001', '07:55:10.001', '12:00:00+00:00:01', '12:00+01', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999', '294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59+00', '-00:00:00.000001', '-13 mons', '59.99'),
  (6, '0001-12-31 BC', '12:00', '12:00', '12:00+00', '12:00+00', '0001-12-31 23:59:59.999999 BC', '0001-12-31 BC', '0044-03-15 12:00:00.5+00 BC', '2024-03-31 02:30+02', '0', '10 years', '1'),
  (7, '0001-01-01', '00:00:00.1', '00:00:00.1', '00:00:00.1-08', '00:00-08', '1969-12-31 23:59:59.999999', '2024-02-29', '0001-01-01 00:00:00+14', '1900-01-01', '1 mon -1 day', '1 mon', '2.5'),
  (8, '2024-02-29', '01:02:03', '01:02:03', '01:02:03-00:30', '01:02:03+00', '294247-01-10 04:00:54.775807', '10000-01-01', '9999-12-31 23:59:59.999999+00', '9999-12-31', 'P1Y2M3DT4H5M6.789S', null, null);

create table texts (
  id integer primary key,
  plain text, bounded varchar(5), fixed char(3), one char, quoted "char", label name, insensitive citext,
  object json, binary_object jsonb, path jsonpath, markup xml, words tsvector, search tsquery, cursor_name refcursor);
insert into texts values
  (1, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
  (2, '', '', '', '', '', '', '', '""', '""', '$', '', '', '', ''),
  (3, E'a\tb\r\nc\n\r\x01\x1f', E'\n', 'a', ' ', 'x', 'it''s', 'CaSe', '{ "b" :1 , "b":2, "a": 1e400 }', '{"a": [1, null, 1.10, 1e400, "\u00e9"]}', '$.a[*] ? (@ > 1)', '<?xml version="1.0"?><a b="c">d</a>', '''a b'':1A ''c'':2,3', '''a'' & !''b'' | ''c'':*', '"c"'),
  (4, E'\uFEFFbom \U0001F3F4\u200D\u2620\uFE0F e\u0301', E'\uFEFF', E'\uFEFF', 'Ł', '\', '日本語', E'\uFEFF', E'"\\u0000\\ud83d\\ude00"', 'null', 'strict $.a', 'text only', '''\\'':1', '!''x''', 'n'),
  (5, '\N', '\.', 'ab ', '"', '"', '\.', '\N', 'null', 'false', '$."a b"', '<a/><b/>', '''"'':1', '''"''', ','),
  (6, '"', ',', '","', ',', ',', 'NULL', 'null', '[]', '[]', '$[0]', '<a>&amp;&#10;</a>', null, null, '{}'),
  (7, 'NULL', ' x  ', ' b', '''', '''', ' ', ' ', '{}', '{}', '$.**', '<!-- c -->', null, null, null),
  (8, repeat('long "quoted", ', 150000), 'x', 'abc', 'x', 'y', repeat('n', 63), repeat('C', 3000), to_json(repeat(E'\x01', 20000)), to_jsonb(repeat('j', 20000)), null, null, null, null, null);

create table bytes (
  id integer primary key,
  raw bytea, bits bit(3), bits_more varbit, bits_5 varbit(5), number uuid,
  host inet, net cidr, mac macaddr, mac_8 macaddr8, position pg_lsn, snapshot txid_snapshot, transaction xid, tuple tid);
insert into bytes values
  (1, null, null, null, null, null, null, null, null, null, null, null, null, null),
  (2, '', '000', '', '', '00000000-0000-0000-0000-000000000000', '0.0.0.0', '0.0.0.0/0', '00:00:00:00:00:00', '00:00:00:00:00:00:00:00', '0/0', '10:20:10,14,15', '0', '(0,1)'),
  (3, '\x00', '111', '1', '1', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '192.168.0.1/24', '10.0.0.0/8', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff', 'FFFFFFFF/FFFFFFFF', '10:10:', '4294967295', '(4294967295,65535)'),
  (4, '\x5c6e0a0d22272cff', '101', repeat('10', 100)::varbit, '10101', '80000000-0000-0000-0000-000000000001', '::1', 'fe80::/10', '08:00:2b:01:02:03', '08:00:2b:ff:fe:01:02:03', '16/B374D848', null, '1', '(1,2)'),
  (5, decode(repeat('00ff', 550000), 'hex'), '010', '01', '0', '7f000000-0000-0000-0000-000000000001', '::ffff:1.2.3.4/128', '2001:db8::/32', null, null, null, null, null, null);

create table shapes (
  id integer primary key,
  point_ point, line_ line, segment lseg, box_ box, path_ path, polygon_ polygon, circle_ circle, boxes box[], cube_ cube, cubes cube[]);
insert into shapes values
  (1, null, null, null, null, null, null, null, null, null, null),
  (2, '(0.1,-0)', '{1,-1,0}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', '{(1,1),(0,0);(2,2),(1,1)}', '(1,2,3),(4,5,6)', '{"(1)","(1,2),(3,4)"}'),
  (3, '(Infinity,NaN)', '{1e-300,1,0}', '[(1e300,0),(1,1)]', '(1,1),(1,1)', '((0,0),(1,1))', '((0,0))', '<(0.1,0.2),0>', '{}', '(0)', '{}');

create table ranges (
  id integer primary key,
  ints int4range, longs int8range, nums numrange, days daterange, moments tsrange, instants tstzrange, words textrange,
  many_ints int4multirange, many_nums nummultirange, many_days datemultirange, many_instants tstzmultirange, many_words textmultirange);
insert into ranges values
  (1, null, null, null, null, null, null, null, null, null, null, null, null),
  (2, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}', '{}', '{}'),
  (3, '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '(,)', '{(,)}', '{(,)}', '{(,)}', '{(,)}', '{(,)}'),
  (4, '[1,5)', '[-9223372036854775808,9223372036854775807)', '[1.10,1.1000]', '[0044-03-15 BC,infinity]', '[4713-01-01 BC,294276-12-31 23:59:59.999999)', '[-infinity,infinity)', '["a,b","c""d")', '{[1,2),[5,9)}', '{(0.1,0.2],[NaN,NaN]}', '{[2024-01-01,2024-02-01)}', '{[2024-01-01 00:00+00,)}', '{["a","b"],("c,",]}');

create table lists (
  id integer primary key,
  ints integer[], words text[], flags boolean[], nums numeric(6,2)[], free_nums numeric[], instants timestamptz[], blobs bytea[],
  objects jsonb[], codes char(3)[], bounded varchar(2)[], spans interval[], hosts inet[], some_ranges int4range[], numbers_uuid uuid[], bits bit(2)[],
  moods mood[], pairs pair[], stores hstore[], cased citext[], of_domain price[], domain_lists prices[], doubles double precision[], labels name[], oids oidvector, words_2 int2vector);
insert into lists (id) values (1);
insert into lists values
  (2, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '', ''),
  (3, '{1,NULL,-3}', '{a,NULL,"NULL","",",","\"","\\"," "}', '{t,f,NULL}', '{1.10,NaN}', '{NaN,Infinity,1.500}', '{"0044-03-15 12:00:00+00 BC",infinity}', '{"\\x00ff",""}',
   array['{"a": 1}', 'null', '"x, y"']::jsonb[], '{a,"ab ",abc}', '{"",ab}', '{"1 day","-00:00:01"}', '{192.168.0.1/24,::1}', '{empty,"[1,2)","(,)"}', '{7f000000-0000-0000-0000-000000000001}', '{01,11}',
   '{good,"it''s","","a,b",NULL}', array[row(1, 'a "b", (c)'), row(null, null), null]::pair[], array['a=>1, "b c"=>NULL'::hstore, '']::hstore[], '{Aa,"NULL"}', '{1.10,NULL}', array[array[1.1, null]::prices, '{}'::prices], '{-0,NaN,Infinity,5e-324}', '{a," "}', '1 2 4294967295', '-1 0 1'),
  (4, '[0:1][2:3]={{1,2},{3,4}}', '[-5:-4]={a,b}', '{{{t}}}', '[7:7]={0.01}', '{{1,2},{3,4}}', '{{"2024-01-01 00:00+00"}}', '{{"\\x"}}', array[array['[]']]::jsonb[], '{{a}}', '{{b}}', '{{"1 mon"}}', '{{10.0.0.0/8}}', '{{empty}}', null, '{{00}}',
   '[2:3]={good,good}', '[0:0]={"(1,)"}', null, '{{A}}', '[3:3]={1}', null, '{{1.5}}', '{{x}}', '', '');

create table customs (
  id integer primary key,
  feel mood, mixed "Mixed Case", feeling_ feeling, many posint, much price, brief short, list prices, deeper deep, couple pair, nested nest, couples pair[],
  store hstore, tree ltree, query lquery, isbn_ isbn, row_type numbers, class regclass, type_ regtype, routine regprocedure, role_ regrole, rights aclitem, many_rights aclitem[]);
insert into customs (id) values (1);
insert into customs values
  (2, 'good', 'x', 'good', 1, 0.01, '', '{}', 1, '(,)', '(,,)', '{}', '', '', '*', '978-0-393-04002-9', null, 'numbers', 'mood', 'upper(text)', current_user::regrole, null, '{}'),
  (3, 'it''s', 'X', 'a,b', 2147483647, 'NaN', 'a,b', '{1.10,NULL}', 7, '(1,"a ""b"", c\\")', row(row(1, ''), array['a', null], '0044-03-15 12:00+00 BC'), '{"(1,a)",NULL}', '"a b"=>"c,d", "e"=>NULL', 'a.b_1.c', 'a.*{1,2}.b|c', null,
   row(1, 1, 1, 1, 0.1, 0.1, 'NaN', 1.1, 1, 100, 0, 1, 1, 1, true, 1, 1), 'pg_class', 'text[]', 'now()', 0, '=r/postgres', '{=r/postgres}'),
  (4, '', 'x', 'it''s', 3, -99999999.99, 'ab ', '[3:3]={1}', 2, '(-1,"")', null, '{"(1,\"\\\"\")"}', 'a=>""', '', '!a', '978-1-4028-9462-6', null, null, null, null, null, null, null);

-- Keys of every kind.
-- Constraints over columns with values that DuckDB's types do not hold: as texts, 9 is above 10.
create table spans (
  id integer primary key, share numeric(4,2) not null check (share >= 0), low numeric(4,2), high numeric(4,2), since timestamp, until timestamp(3),
  check (low <= high), constraint "ends after it begins" check (until >= since)
);
insert into spans values (1, 0.5, 9, 10, '9999-01-01', '10000-01-01'), (2, 'NaN', 'NaN', 'NaN', '294276-12-31', 'infinity'),
  (3, 1, 9, 'NaN', '0044-03-15 BC', '294276-12-31'), (4, 2, null, 0, '-infinity', null), (5, 3, 9.99, 10.01, '2024-02-29', '2024-02-29'), (6, 'NaN', null, null, null, null);
-- One of several, and a composite, which is null when all in it is, and not null when nothing in it is.
create table arcs (
  id integer primary key, a uuid, b jsonb, couple pair,
  check (num_nonnulls(a, b) = 1), check ((a is null) <> (b is null)), check (couple is null or not (couple is not null))
);
insert into arcs values (1, '00000000-0000-0000-0000-000000000001', null, null), (2, null, 'null', row(null, null)), (3, null, '{}', row(1, null)), (4, null, '[]', null), (5, gen_random_uuid(), null, row(null, ''));
create table by_double (k double precision primary key, v text);
insert into by_double values ('-0'::double precision, 'minus zero'), ('NaN', 'nan'), ('Infinity', 'inf'), (0.1, 'x'), (1e300, 'y');
create table by_numeric (k numeric primary key, v text);
insert into by_numeric values ('NaN', 'nan'), (1.0, 'one'), (2.50, 'two'), ('-Infinity', 'x'), (1e60, 'big');
create table by_fixed (k numeric(10,2) primary key, v text);
insert into by_fixed values (1.10, 'a'), (-0.01, 'b'), (99999999.99, 'c');
create table by_day (k date primary key, v text);
insert into by_day values ('infinity', 'a'), ('0044-03-15 BC', 'b'), ('2024-02-29', 'c');
create table by_instant (k timestamptz primary key, v text);
insert into by_instant values ('-infinity', 'a'), ('0044-03-15 12:00+00 BC', 'b'), ('2024-02-29 00:00:00.000001+00', 'c');
create table by_text (k text primary key, v text);
insert into by_text values ('', 'empty'), (E'\uFEFF', 'bom'), ('a', 'b'), ('A', 'B'), (E'\r\n', 'crlf'), ('NULL', 'n'), ('é', 'c'), (E'e\u0301', 'd');
create table by_citext (k citext primary key, v text);
insert into by_citext values ('Abc', 'b'), ('', 'c'), ('É', 'd');
create table by_char (k char(3) primary key, v text);
insert into by_char values ('a', 'b'), ('', 'c'), ('abc', 'd');
create table by_bytes (k bytea primary key, v text);
insert into by_bytes values ('', 'a'), ('\x00', 'b'), ('\xff', 'c');
create table by_uuid (k uuid primary key, v text);
insert into by_uuid values ('00000000-0000-0000-0000-000000000000', 'a'), ('ffffffff-ffff-ffff-ffff-ffffffffffff', 'b');
create table by_span (k interval primary key, v text);
insert into by_span values ('1 mon', 'a'), ('-1 day', 'b'), ('0', 'c');
create table by_mood (k mood primary key, v text);
insert into by_mood values ('good', 'a'), ('it''s', 'b'), ('', 'c');
create table by_domain (k price primary key, v text);
insert into by_domain values (1.10, 'a'), (-1, 'b');
create table by_host (k inet primary key, v text);
insert into by_host values ('10.0.0.1', 'a'), ('10.0.0.1/8', 'b'), ('::1', 'c');
create table by_list (k integer[] primary key, v text);
insert into by_list values ('{}', 'a'), ('{1,NULL}', 'b'), ('[0:0]={1}', 'c');
create table by_range (k int4range primary key, v text);
insert into by_range values ('empty', 'a'), ('[1,5)', 'b'), ('(,)', 'c');
create table by_pair (k pair primary key, v text);
insert into by_pair values ('(1,a)', 'a'), ('(1,)', 'b'), ('(,)', 'c');
create table by_bits (k varbit primary key, v text);
insert into by_bits values ('', 'a'), ('01', 'b');
create table by_flag (k boolean primary key, v text);
insert into by_flag values (true, 'a'), (false, 'b');
create table by_many (a timetz, b "char", c money, d oid, v text, primary key (c, a, d, b));
insert into by_many values ('12:00+01', 'a', 1, 1, 'a'), ('12:00+02', 'a', 1, 1, 'b'), ('12:00+01', '', 1, 4294967295, 'c');
