/** The shop of end-to-end tests: seven tables in three looks-ups deep, and a star of two facts. */

/** In every password: it may stand nowhere. */
export const SECRET = 'hush-4f1e'

/** Made for traps: look-ups two deep, a table of one row, a name that begins another, apostrophes, leading zeros. */
export const SHOP = `
create type pay_kind as enum ('CARD', 'CASH');
create table department (department_id integer primary key, department_name text not null, location text);
create table address (address_id integer primary key, line text not null, city text not null,
  postal_code text not null, phone text);
create table staff (staff_id integer primary key, last_name text not null,
  department_id integer not null references department);
create table customer (customer_id integer primary key, legal_name text not null,
  legal_address_id integer not null references address);
create table sale (sale_id integer primary key,
  created_at timestamp(3) not null default current_timestamp, last_updated timestamp(3) not null,
  staff_id integer not null references staff, customer_id integer not null references customer,
  units integer not null, unit_price numeric(10,2) not null, note text);
create table payment_type (payment_type_id integer primary key, payment_type_name pay_kind not null);
create table payment (payment_id integer primary key, sale_id integer not null,
  payment_type_id integer not null references payment_type, amount numeric(10,2) not null, paid boolean not null);
insert into department values (1, 'Sales Qx7', 'Leeds Qx7'), (2, 'Qx7, (Facilities)', null);
insert into address values
  (1, '007 High Street Qx7', 'Leds Qx7', '08841', '0044 113'),
  (2, 'Rue de l''Étoile Qx7', 'Qx7 ''Pyongyang''', '00100', null);
insert into staff values (1, 'O''Keefe Qx7', 1), (2, 'Qx7', 2), (3, 'None Qx7', 1);
insert into customer values (1, 'Smith, Jones (& Co) Qx7', 1), (2, 'NULL Qx7', 1);
insert into sale select 8800100 + n, timestamp '2024-11-04 09:30:00.123', timestamp '2024-11-04 09:30:00.123',
  1 + n % 3, 1 + n % 2, n * 10, 2.10, 'Qx7 ' || n from generate_series(1, 6) n;
insert into payment_type values (1, 'CARD');
insert into payment values (1, 8800101, 1, 21.00, false)`

export const MODELS: Readonly<Record<string, string>> = {
  dim_staff: `-- kind: dimension
-- key: staff_id
-- check warn: location <> 'Unknown'
select s.staff_id, s.last_name, coalesce(d.department_name, 'Unknown') as department_name,
  coalesce(d.location, 'Unknown') as location
from shop.staff as s
left join shop.department as d on d.department_id = s.department_id
`,
  dim_customer: `-- kind: dimension
-- key: customer_id
-- nullable: phone
select c.customer_id, c.legal_name, a.line, a.city, a.postal_code, a.phone
from shop.customer as c
left join shop.address as a on a.address_id = c.legal_address_id
`,
  dim_payment_type: `-- kind: dimension
-- key: payment_type_id
select payment_type_id, cast(payment_type_name as varchar) as payment_type_name from shop.payment_type
`,
  fact_sale: `-- kind: fact
-- key: sale_id
-- record id: sale_record_id
-- nullable: note
-- references: sales_staff_id -> dim_staff, customer_id -> dim_customer
-- check: units >= 0
select sale_id, cast(created_at as date) as created_date, cast(created_at as time) as created_time,
  last_updated, staff_id as sales_staff_id, customer_id, units, unit_price, note
from shop.sale
`,
  fact_payment: `-- kind: fact
-- key: payment_id
-- record id: payment_record_id
-- references: payment_type_id -> dim_payment_type
select payment_id, sale_id, payment_type_id, amount, paid from shop.payment
`,
}

/** The shop's tables and their keys. */
export const TABLES: Readonly<Record<string, string>> = {
  department: 'department_id',
  address: 'address_id',
  staff: 'staff_id',
  customer: 'customer_id',
  sale: 'sale_id',
  payment_type: 'payment_type_id',
  payment: 'payment_id',
}

/** The same models as PostgreSQL computes them over the source: the oracle of P7. */
export const ORACLE: Readonly<Record<string, string>> = {
  dim_staff: `select s.staff_id, s.last_name, coalesce(d.department_name, 'Unknown') as department_name,
    coalesce(d.location, 'Unknown') as location from staff s left join department d using (department_id)`,
  dim_customer: `select c.customer_id, c.legal_name, a.line, a.city, a.postal_code, a.phone
    from customer c left join address a on a.address_id = c.legal_address_id`,
  dim_payment_type: `select payment_type_id, payment_type_name::text as payment_type_name from payment_type`,
  fact_sale: `select sale_id, created_at::date as created_date, created_at::time as created_time, last_updated,
    staff_id as sales_staff_id, customer_id, units, unit_price, note from sale`,
  fact_payment: `select payment_id, sale_id, payment_type_id, amount, paid from payment`,
}
