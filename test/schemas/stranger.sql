-- A database as one finds it: an application that grew for years under an ORM, with an older corner
-- that nobody owns. Nothing here was made for a warehouse. stranger-changes.sql lives one more day in it.
create schema "Billing";
create schema legacy;
create schema audit;

create type "OrderStatus" as enum ('NEW', 'PAID', 'SENT', 'it''s complicated');
create type legacy.colour as enum ('red', 'green');
create domain email_address as text check (value ~ '@');
create domain "Billing".amount as numeric(12, 2) check (value >= 0);
create type geo_point as (lat double precision, lon double precision);

-- camelCase, uuid keys, soft delete, words that SQL keeps for itself.
create table "user" (
  id uuid primary key,
  email email_address not null unique,
  "displayName" varchar(80) not null,
  "managerId" uuid references "user",
  settings jsonb not null default '{}',
  tags text[] not null default '{}',
  "lastSeen" timestamptz,
  is_deleted boolean not null default false,
  "createdAt" timestamptz(3) not null,
  check (length("displayName") > 0),
  check ("lastSeen" is null or "lastSeen" >= "createdAt")
);
comment on table "user" is E'People who sign in;\n"soft" deletes, -- kind: fact';
comment on column "user".email is E'checked by the app, -- not here;\nunique';

create table "Account" (
  id uuid primary key,
  "ownerId" uuid references "user",
  "primaryContactId" uuid,
  name text not null,
  balance numeric not null default 'NaN',
  valid_from date,
  batch integer
);
create table "Contact" (
  id uuid primary key,
  "accountId" uuid not null references "Account",
  "group" text,
  "where" inet,
  at geo_point,
  unique ("accountId", "group")
);
-- A circle of two, and one of three.
alter table "Account" add foreign key ("primaryContactId") references "Contact";
create table "Warehouse Site" (
  "Site Id" integer primary key,
  "Main Shelf, preferred" integer,
  "Opening -> Closing" text
);
create table shelf (
  shelf_id integer primary key,
  site_id integer not null references "Warehouse Site",
  best_product_id bigint
);
create table product (
  product_id bigint generated always as identity primary key,
  shelf_id integer references shelf,
  sku char(8) not null unique,
  "user" text,
  price "Billing".amount not null,
  weight real check (weight > 0),
  dims integer[][] ,
  status text not null check (status in ('draft', 'live', 'gone; really')),
  price_with_tax numeric(14, 3) generated always as (price * 1.2) stored,
  made date check (made >= date '1990-01-01'),
  valid tstzrange,
  check (status <> 'live' or price > 0)
);
alter table "Warehouse Site" add foreign key ("Main Shelf, preferred") references shelf;
alter table shelf add foreign key (best_product_id) references product;

create table "order" (
  id bigint primary key,
  "userId" uuid not null references "user",
  "accountId" uuid references "Account",
  "shipTo" uuid references "Contact",
  status "OrderStatus" not null,
  total "Billing".amount not null,
  "placedAt" timestamp not null,
  note text,
  check (total < 1000000)
);
create table "OrderItem" (
  "orderId" bigint references "order" on delete cascade,
  "lineNo" smallint check ("lineNo" between 1 and 999),
  "productId" bigint not null references product,
  quantity integer not null check (quantity > 0),
  "unitPrice" numeric(10, 4) not null,
  primary key ("orderId", "lineNo")
);
-- Many to many, twice over.
create table product_tag (
  product_id bigint references product,
  tag text,
  primary key (product_id, tag)
);
create table "_UserToAccount" (
  "A" uuid not null references "user",
  "B" uuid not null references "Account",
  primary key ("A", "B")
);
-- One row for each of another.
create table user_profile (
  user_id uuid primary key references "user",
  birthday date,
  avatar bytea
);
-- A composite reference, and one to a column that is not the key.
create table order_item_note (
  id integer primary key,
  "orderId" bigint not null,
  "lineNo" smallint not null,
  sku char(8) references product (sku),
  body xml,
  foreign key ("orderId", "lineNo") references "OrderItem"
);

-- Billing: the same names again, in another schema.
create table "Billing"."order" (
  "order" integer primary key,
  "user" uuid references public."user",
  amount money not null,
  paid boolean not null check (paid or not paid)
);
create table "Billing".invoice (
  number text collate "C" primary key,
  order_id bigint not null references public."order",
  previous text collate "C" references "Billing".invoice,
  issued timestamptz not null,
  due interval,
  lines json
);

-- Written by triggers: no key at all, and rows that are equal.
create table audit.log (
  at timestamptz not null,
  actor text,
  action text,
  payload jsonb
);
create table audit."Log" (id integer primary key, what text);
create table settings (key text primary key, value text);
create table schema_migrations (version text primary key);

-- Partitioned events.
create table event (
  id bigint not null,
  at timestamptz not null,
  "userId" uuid references "user",
  kind text not null,
  data jsonb,
  primary key (id, at)
) partition by range (at);
create table event_2024 partition of event for values from ('2024-01-01Z') to ('2025-01-01Z');
create table event_rest partition of event default;

-- The corner without a single foreign key, or a word of explanation.
create table legacy."tbl Customers (old)" (
  "ID" integer primary key,
  "Name, full" text,
  "select" integer,
  "a->b" text,
  "tab	here" text,
  "Ünïcode ß" text,
  "_legacy" legacy.colour,
  colours legacy.colour[],
  flags bit(3),
  paid timetz
);
create table legacy.t1 (a integer, b integer);
create table legacy.t2 (a integer primary key, "A" integer);
create table legacy.empty_one (id integer primary key, nothing text);
create table legacy.a_table_whose_name_is_exactly_as_long_as_postgresql_lets_it (id integer primary key, v text);
create table legacy.a_table_whose_name_is_exactly_as_long_as_postgresql_lets_i2 (id integer primary key, v text);
create table legacy.dim_user (id integer primary key);
create table legacy.fact_x (id integer primary key);
create table legacy.x_current (id integer primary key);

create view active_user as select * from "user" where not is_deleted;
create materialized view order_total as select "userId", sum(total) from "order" group by 1;

insert into "user" (id, email, "displayName", "managerId", settings, tags, "lastSeen", is_deleted, "createdAt")
select md5('u' || n)::uuid, 'u' || n || '@example.com', case n when 3 then E'O''Brien "The\\Great"\t' else 'User ' || n end,
  case when n > 1 then md5('u' || n / 2)::uuid end, jsonb_build_object('theme', n, 'b', 1.50), array['a', null, n::text, '{"x,y"}'],
  case when n % 3 = 0 then timestamptz '2024-05-01 10:00Z' + n * interval '1 day' end, n % 7 = 0,
  timestamptz '2024-01-01 00:00:00.123Z' + n * interval '1 hour'
from generate_series(1, 40) n;
insert into "Account" select md5('a' || n)::uuid, md5('u' || n)::uuid, null, 'Account ' || n,
  (array['NaN', '1.10', '-0.000', '12345678901234567890.123456789'])[1 + n % 4]::numeric,
  date '0044-03-15 BC' + n, n from generate_series(1, 12) n;
insert into "Contact" select md5('c' || n)::uuid, md5('a' || 1 + n % 12)::uuid, 'g' || n, '10.0.0.1/8', row(n, -n / 3.0)::geo_point
from generate_series(1, 20) n;
update "Account" set "primaryContactId" = (select id from "Contact" c where c."accountId" = "Account".id limit 1);
insert into "Warehouse Site" values (1, null, '9 -> 5'), (2, null, null);
insert into shelf values (1, 1), (2, 2), (3, 1);
insert into product (shelf_id, sku, "user", price, weight, dims, status, made, valid)
select 1 + n % 3, 'SKU' || n, 'someone', n * 1.01, n / 7.0, array[[n, 1], [2, null]], (array['draft', 'live', 'gone; really'])[1 + n % 3],
  date '2001-02-03' + n, tstzrange('2020-01-01Z', null)
from generate_series(1, 30) n;
update "Warehouse Site" set "Main Shelf, preferred" = "Site Id";
update shelf set best_product_id = shelf_id;
insert into "order" select n, md5('u' || 1 + n % 40)::uuid, md5('a' || 1 + n % 12)::uuid, md5('c' || 1 + n % 20)::uuid,
  (enum_range(null::"OrderStatus"))[1 + n % 4], n * 3.33, timestamp '2024-03-10 02:30:00.000001' + n * interval '1 minute', nullif('note ' || n % 5, 'note 0')
from generate_series(1, 200) n;
insert into "OrderItem" select o, l, 1 + (o + l) % 30, l * 2, o / 7.0 from generate_series(1, 200) o, generate_series(1, 3) l;
insert into product_tag select n, t from generate_series(1, 30) n, unnest(array['new', 'sale', '']) t;
insert into "_UserToAccount" select md5('u' || n)::uuid, md5('a' || 1 + n % 12)::uuid from generate_series(1, 40) n;
insert into user_profile select md5('u' || n)::uuid, 'infinity', decode('00ff', 'hex') from generate_series(1, 5) n;
insert into order_item_note select n, n, 1, 'SKU' || n, '<p>é</p>' from generate_series(1, 10) n;
insert into "Billing"."order" select n, md5('u' || n)::uuid, n * 1.5::money, n % 2 = 0 from generate_series(1, 15) n;
insert into "Billing".invoice select 'F-' || n, n, nullif('F-' || n - 1, 'F-0'), timestamptz '2024-06-01Z', '1 mon 2 days', '[1, {"a": null}]'
from generate_series(1, 25) n;
insert into audit.log select '2024-01-01Z', 'system', 'tick', null from generate_series(1, 5);
insert into audit.log select '2024-01-01Z'::timestamptz + n * interval '1 s', 'user ' || n % 3, E'line\nbreak', '{"n": 1}' from generate_series(1, 20) n;
insert into audit."Log" values (1, 'x');
insert into settings values ('theme', 'dark'), ('', null), ('NULL', 'NULL');
insert into schema_migrations values ('20240101');
insert into event select n, timestamptz '2024-11-01Z' + n * interval '1 day', md5('u' || 1 + n % 40)::uuid, 'click', jsonb_build_object('n', n) from generate_series(1, 120) n;
insert into legacy."tbl Customers (old)" select n, 'Full, Name ' || n, n, 'a', 'b', 'ç', 'red', array['green', null]::legacy.colour[], '101', '10:00+02' from generate_series(1, 9) n;
insert into legacy.t1 values (1, 1), (1, 1), (null, 2);
insert into legacy.a_table_whose_name_is_exactly_as_long_as_postgresql_lets_it values (1, 'v');
insert into legacy.fact_x values (1);

-- Of which the role that reads would see nothing, and be told so.
create table tenant_note (id integer primary key, body text);
insert into tenant_note values (1, 'kept from others');
alter table tenant_note enable row level security;
