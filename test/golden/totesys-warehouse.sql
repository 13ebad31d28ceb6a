-- The warehouse as its specification words it (three overlapping stars), made before Tote came.
create table dim_date (date_id date primary key, year int not null, month int not null, day int not null,
  day_of_week int not null, day_name text not null, month_name text not null, quarter int not null);
create table dim_staff (staff_id int primary key, first_name text not null, last_name text not null,
  department_name text not null, location text not null, email_address text not null);
create table dim_location (location_id int primary key, address_line_1 text not null, address_line_2 text,
  district text, city text not null, postal_code text not null, country text not null, phone text not null);
create table dim_currency (currency_id int primary key, currency_code varchar(3) not null, currency_name text not null);
create table dim_design (design_id int primary key, design_name text not null, file_location text not null,
  file_name text not null);
create table dim_counterparty (counterparty_id int primary key, counterparty_legal_name text not null,
  counterparty_legal_address_line_1 text not null, counterparty_legal_address_line_2 text,
  counterparty_legal_district text, counterparty_legal_city text not null,
  counterparty_legal_postal_code text not null, counterparty_legal_country text not null,
  counterparty_legal_phone_number text not null);
create table dim_transaction (transaction_id int primary key, transaction_type text not null,
  sales_order_id int, purchase_order_id int);
create table dim_payment_type (payment_type_id int primary key, payment_type_name text not null);
create table fact_sales_order (
  sales_record_id serial primary key,
  sales_order_id int not null,
  created_date date not null references dim_date, created_time time not null,
  last_updated_date date not null references dim_date, last_updated_time time not null,
  sales_staff_id int not null references dim_staff,
  counterparty_id int not null references dim_counterparty,
  units_sold int not null, unit_price numeric(10,2) not null,
  currency_id int not null references dim_currency,
  design_id int not null references dim_design,
  agreed_payment_date date not null references dim_date,
  agreed_delivery_date date not null references dim_date,
  agreed_delivery_location_id int not null references dim_location);
create table fact_purchase_order (
  purchase_record_id serial primary key,
  purchase_order_id int not null,
  created_date date not null references dim_date, created_time time not null,
  last_updated_date date not null references dim_date, last_updated_time time not null,
  staff_id int not null references dim_staff,
  counterparty_id int not null references dim_counterparty,
  item_code varchar not null, item_quantity int not null, item_unit_price numeric(10,2) not null,
  currency_id int not null references dim_currency,
  agreed_delivery_date date not null references dim_date,
  agreed_payment_date date not null references dim_date,
  agreed_delivery_location_id int not null references dim_location);
create table fact_payment (
  payment_record_id serial primary key,
  payment_id int not null,
  created_date date not null references dim_date, created_time time not null,
  last_updated_date date not null references dim_date, last_updated_time time not null,
  transaction_id int not null references dim_transaction,
  counterparty_id int not null references dim_counterparty,
  payment_amount numeric(10,2) not null,
  currency_id int not null references dim_currency,
  payment_type_id int not null references dim_payment_type,
  paid boolean not null,
  payment_date date not null references dim_date);
