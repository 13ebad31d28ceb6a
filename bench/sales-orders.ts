/** Twelve columns, about 110 bytes a row: totesys' sales_order, of any size. */
const TABLE = `create table sales_order (
  sales_order_id integer primary key,
  created_at timestamp not null,
  last_updated timestamp not null,
  design_id integer not null,
  staff_id integer not null,
  counterparty_id integer not null,
  units_sold integer not null,
  unit_price numeric(10,2) not null,
  currency_id integer not null,
  agreed_delivery_date varchar not null,
  agreed_payment_date varchar not null,
  agreed_delivery_location_id integer not null
)`

export const COLUMNS = `sales_order_id, created_at, last_updated, design_id, staff_id, counterparty_id, units_sold,
  unit_price, currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id`

/** Statements that create the table and fill it, in the order of its key or in none. */
export function createOrders(rows: number, unordered = false): string[] {
  return [
    TABLE,
    `insert into sales_order
  select n, stamp, stamp + n % 1000 * interval '1.000001 s', n % 473 + 1, n % 20 + 1, n % 19 + 1,
    n % 99000 + 1000, ((n * 7919::bigint) % 300 + 200) / 100.0, n % 3 + 1,
    to_char(stamp + interval '5 days', 'YYYY-MM-DD'), to_char(stamp + interval '9 days', 'YYYY-MM-DD'),
    n % 30 + 1
  from generate_series(1, ${rows}) as n, lateral (select timestamp '2023-01-02 09:00:00.123' + n * interval '47.3 s' as stamp) as s${unordered ? '\n  order by hashint4(n)' : ''}`,
  ]
}
