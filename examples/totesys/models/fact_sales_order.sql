-- kind: fact
-- key: sales_order_id
-- record id: sales_record_id
-- driven by: totesys.sales_order
-- comment: Sales orders, a row for each version of an order
-- references: created_date -> dim_date, last_updated_date -> dim_date,
--   agreed_payment_date -> dim_date, agreed_delivery_date -> dim_date,
--   sales_staff_id -> dim_staff, counterparty_id -> dim_counterparty,
--   currency_id -> dim_currency, design_id -> dim_design,
--   agreed_delivery_location_id -> dim_location
select
  sales_order_id,
  cast(created_at as date) as created_date,
  cast(created_at as time) as created_time,
  cast(last_updated as date) as last_updated_date,
  cast(last_updated as time) as last_updated_time,
  staff_id as sales_staff_id,
  counterparty_id,
  units_sold,
  unit_price,
  currency_id,
  design_id,
  -- Not a plain cast: that would take '2022-11-04 BC' for a date of our time.
  cast(strptime(agreed_payment_date, '%Y-%m-%d') as date) as agreed_payment_date,
  cast(strptime(agreed_delivery_date, '%Y-%m-%d') as date) as agreed_delivery_date,
  agreed_delivery_location_id
from totesys.sales_order
