-- What happens between two runs: in nearly every table of shapes.sql something comes, changes and goes.
update "Order ""Lines"" 100% é🐘" set "Quo""te" = '""', "🐘" = null where "Order Id" = 1;
delete from "Order ""Lines"" 100% é🐘" where "line.no" = 3;
insert into "Order ""Lines"" 100% é🐘" ("Order Id", "line.no") values (9, 9);
update "select" set "from" = 3, "where" = null where "from" = 2;
update "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" set "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz" = 'c' where "éééééééééééééééééééééééééééééééx" = 1;
delete from "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" where "éééééééééééééééééééééééééééééééx" = 2;
update ours set n = null, s = '', digest = null where o < 3;
delete from ours where o = 4;
insert into "a.b" values (2, null);
insert into "dir/../up" values (2, '..');
update "_manifests" set x = '';
update "constructor" set "__proto__" = null;
update "Twin" set "Id" = 5;
insert into "Twin" values (2, 2, '2');
delete from twin;
update item set place = 'elsewhere';
delete from sales.item where id = 1;
insert into "Stock Room".item values (2, 2, null);
update "🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc"."🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘🐘abc" set place = null;

-- One of three equal rows goes, another comes; NULL becomes the empty text.
delete from keyless where ctid = (select min(ctid) from keyless where b = 'one');
insert into keyless values (null, null, null, null), (2, 'n', null, null);
update keyless set b = '' where ctid = (select min(ctid) from keyless where b is null and a is null);
delete from keyless where b = 'many' and a = 3 and c = 1;
update keyless_json set doc = '{"a": 1}' where ctid = (select max(ctid) from keyless_json where doc::text = '{"a":1}');
update unique_only set code = 'c' where code = 'a';
delete from unique_nulls where ctid = (select min(ctid) from unique_nulls);
update replicated set b = b + 1, c = null where a = 1;

-- A row moves to another partition; a partition goes, another comes, one is emptied.
update parted set region = 'south' where at = '2023-06-01';
alter table parted detach partition parted_other;
create table parted_west partition of parted for values in ('west');
insert into parted values (3, 'west', '2024-02-02', 'back');
drop table parted_other;
truncate parted_keyless_1;
insert into parted_keyless values (4, 'p');
create table parted_empty_1 partition of parted_empty for values from (0) to (10);
insert into parted_empty values (1);

update only parent set note = 'both' where id = 1;
delete from only parent where id = 2;
delete from only child where ctid = (select min(ctid) from only child);
update only grandchild set own = null;
update filled set price = 3.00 where id = 2;
delete from filled where id = 1;
insert into filled (price, label) values (0.01, null);
insert into empty_keyed values (1, null);
insert into empty_keyless values (null), (null), ('');
insert into no_columns default values;
delete from dropped;
update wide set c1 = 7, c1598 = 8 where id = 1;
delete from wide where id = 3;
insert into wide (id) values (4);
refresh materialized view kept;
do $$ begin
  if to_regclass('from_file') is not null then
    alter foreign table from_file options (set program 'printf "a,1\n,2\n,2\n"');
  end if;
end $$;
