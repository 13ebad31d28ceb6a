/**
 * The database under attack, and its journal: in the very transaction that changes rows, statement triggers note
 * every row as it became, with the transaction's 64-bit id. What any snapshot saw of a table is then plain SQL
 * over the journal, by `pg_visible_in_snapshot`, long after the snapshot is gone, and shares nothing with Tote.
 */

interface AttackedTable {
  readonly key: readonly string[]
  readonly model: string
}

/** Each is carried, and a model of the same columns. */
export const TABLES: Readonly<Record<string, AttackedTable>> = {
  place: { key: ['place_id'], model: 'dim_place' },
  item: { key: ['item_id'], model: 'dim_item' },
  orders: { key: ['order_id'], model: 'fact_order' },
  line: { key: ['order_no', 'line_no'], model: 'fact_line' },
  entry: { key: ['region', 'entry_id'], model: 'fact_entry' },
  stock: { key: ['stock_id'], model: 'fact_stock' },
  twin_a: { key: ['twin_id'], model: 'fact_twin_a' },
  twin_b: { key: ['twin_id'], model: 'fact_twin_b' },
  till: { key: ['till_id'], model: 'fact_till' },
  safe: { key: ['safe_id'], model: 'fact_safe' },
  pulse: { key: ['pulse_id'], model: 'fact_pulse' },
}

/** Rows of `till` and of `safe`; together they hold nothing, in every snapshot. */
export const PURSES = 20
/** Keys of the other tables are drawn from so many. */
export const KEYS = { place: 12, item: 60, order: 400, entry: 200, stock: 150, twin: 40 } as const

const SCHEMA = `
create type colour as enum ('red_0', 'green_0', 'blue_0');
create table place (place_id integer primary key, name text not null, colour colour not null, opened date not null);
create table item (item_id integer primary key,
  place_id integer not null references place on update cascade on delete cascade,
  name text not null, price numeric(10,2) not null, colour colour not null, last_updated timestamp(3) not null);
create table orders (order_id integer primary key deferrable initially immediate,
  item_id integer not null references item on update cascade on delete cascade,
  units integer not null, amount numeric not null, note text, ordered_at timestamptz not null, last_updated timestamp(3) not null);
create index on orders (item_id);
create table line (order_no integer, line_no integer, label text not null, primary key (order_no, line_no) deferrable initially immediate);
create table entry (region integer not null, entry_id integer not null, value numeric(12,3) not null, last_updated timestamp(3) not null,
  primary key (region, entry_id)) partition by list (region);
create table entry_1 partition of entry for values in (1);
create table entry_2 partition of entry for values in (2);
create table entry_rest partition of entry default;
create table stock (stock_id integer primary key, units integer not null, note text not null);
create table twin_a (twin_id integer primary key, value text not null);
create table twin_b (twin_id integer primary key, value text not null);
create table till (till_id integer primary key, amount bigint not null);
create table safe (safe_id integer primary key, amount bigint not null);
create table pulse (pulse_id integer primary key, beats bigint not null);

create schema journal;
create unlogged table journal.change (seq bigint generated always as identity, tbl text not null, key text, image jsonb,
  xid xid8 not null default pg_current_xact_id());
create index on journal.change (tbl, seq);
create unlogged table journal.label (colour text not null, generation integer not null, xid xid8 not null default pg_current_xact_id());

create function journal.key_of(image jsonb, columns text[]) returns text language sql immutable
  as $$ select string_agg(image ->> c, '/' order by n) from unnest(columns) with ordinality as o(c, n) $$;

-- Tables are named as of now, so that a table that takes another's name takes its place.
create function journal.note() returns trigger language plpgsql as $$
begin
  if tg_op = 'TRUNCATE' then
    insert into journal.change (tbl) values (tg_table_name);
  elsif tg_op = 'INSERT' then
    insert into journal.change (tbl, key, image)
      select tg_table_name, journal.key_of(to_jsonb(n), tg_argv[0]::text[]), to_jsonb(n) from after n;
  elsif tg_op = 'DELETE' then
    insert into journal.change (tbl, key)
      select tg_table_name, journal.key_of(to_jsonb(o), tg_argv[0]::text[]) from before o;
  else
    insert into journal.change (tbl, key)
      select tg_table_name, journal.key_of(to_jsonb(o), tg_argv[0]::text[]) from before o
      except select tg_table_name, journal.key_of(to_jsonb(n), tg_argv[0]::text[]) from after n;
    insert into journal.change (tbl, key, image)
      select tg_table_name, journal.key_of(to_jsonb(n), tg_argv[0]::text[]), to_jsonb(n) from after n;
  end if;
  return null;
end $$;

create function journal.watch(relation text, key text[]) returns void language plpgsql as $$
begin
  execute format('create trigger note_insert after insert on %I referencing new table as after for each statement execute function journal.note(%L)', relation, key);
  execute format('create trigger note_delete after delete on %I referencing old table as before for each statement execute function journal.note(%L)', relation, key);
  execute format('create trigger note_update after update on %I referencing old table as before new table as after for each statement execute function journal.note(%L)', relation, key);
  execute format('create trigger note_truncate after truncate on %I for each statement execute function journal.note()', relation);
end $$;

-- For whoever changes rows behind the triggers' back, and holds the table while doing so.
create function journal.note_all(relation text, key text[]) returns void language plpgsql as $$
begin
  insert into journal.change (tbl) values (relation);
  execute format('insert into journal.change (tbl, key, image) select %L, journal.key_of(to_jsonb(t), %L), to_jsonb(t) from %I t', relation, key, relation);
end $$;
`

const ROWS = `
insert into journal.label (colour, generation) values ('red', 0), ('green', 0), ('blue', 0);
insert into place select n, 'place ' || n, 'red_0', date '2020-01-01' + n from generate_series(1, ${KEYS.place}) n;
insert into item select n, 1 + n % ${KEYS.place}, 'item ' || n, n * 1.25, 'green_0', '2026-01-01' from generate_series(1, ${KEYS.item}) n;
insert into orders select n, 1 + n % ${KEYS.item}, n, n / 7.0, null, '2026-01-01 00:00+00', '2026-01-01' from generate_series(1, ${KEYS.order / 2}) n;
insert into line select n, m, n || ' ' || m from generate_series(1, 100) n, generate_series(1, 2) m;
insert into entry select 1 + n % 4, n, n / 3.0, '2026-01-01' from generate_series(1, ${KEYS.entry / 2}) n;
insert into stock select n, n, 'note ' || n from generate_series(1, ${KEYS.stock}) n;
with a as (insert into twin_a select n, 'a ' || n from generate_series(1, ${KEYS.twin}) n)
  insert into twin_b select n, 'b ' || n from generate_series(1, ${KEYS.twin}) n;
insert into till select n, 1000 from generate_series(1, ${PURSES}) n;
insert into safe select n, -1000 from generate_series(1, ${PURSES}) n;
insert into pulse values (1, 0);
`

/** Makes the tables, watched by the journal, and their first rows. */
export function fieldSql(reader: string): string {
  const watched = Object.entries(TABLES).map(
    ([table, { key }]) => `select journal.watch('${table}', '${keyArray(key)}');`,
  )
  return `${SCHEMA}${watched.join('\n')}
    grant select on all tables in schema public to ${reader};
    alter default privileges in schema public grant select on tables to ${reader};
    ${ROWS}`
}

export function keyArray(key: readonly string[]): string {
  return `{${key.join(',')}}`
}

/** The columns that a table's model takes, in its order; those that are added later it does not. */
export const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  place: ['place_id', 'name', 'colour', 'opened'],
  item: ['item_id', 'place_id', 'name', 'price', 'colour', 'last_updated'],
  orders: ['order_id', 'item_id', 'units', 'amount', 'note', 'ordered_at', 'last_updated'],
  line: ['order_no', 'line_no', 'label'],
  entry: ['region', 'entry_id', 'value', 'last_updated'],
  stock: ['stock_id', 'units', 'note'],
  twin_a: ['twin_id', 'value'],
  twin_b: ['twin_id', 'value'],
  till: ['till_id', 'amount'],
  safe: ['safe_id', 'amount'],
  pulse: ['pulse_id', 'beats'],
}

/** By name: the columns of each table under their own names, the enum as text. */
export function models(references: boolean): Record<string, string> {
  return Object.fromEntries(
    Object.entries(TABLES).map(([table, { key, model }]) => {
      const fact = model.startsWith('fact_')
      const columns = (COLUMNS[table] ?? []).map((name) =>
        name === 'colour' ? 'cast(colour as varchar) as colour' : name,
      )
      const header = [
        `kind: ${fact ? 'fact' : 'dimension'}`,
        `key: ${key.join(', ')}`,
        ...(fact ? [`record id: ${table}_record_id`] : []),
        ...(table === 'orders' && references ? ['references: item_id -> dim_item'] : []),
        ...(table === 'orders' ? ['nullable: note'] : []),
      ]
      const lines = header.map((line) => `-- ${line}\n`).join('')
      return [model, `${lines}select ${columns.join(', ')} from field.${table}\n`]
    }),
  )
}
