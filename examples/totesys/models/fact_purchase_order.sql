-- kind: fact
-- key: purchase_order_id
-- record id: purchase_record_id
-- driven by: totesys.purchase_order
-- comment: Purchase orders, a row for each version of an order
-- types: item_code varchar
-- references: created_date -> dim_date, last_updated_date -> dim_date,
--   agreed_delivery_date -> dim_date, agreed_payment_date -> dim_date,
--   staff_id -> dim_staff, counterparty_id -> dim_counterparty,
--   currency_id -> dim_currency, agreed_delivery_location_id -> dim_location
select
  purchase_order_id,
  cast(created_at as date) as created_date,
  cast(created_at as time) as created_time,
  cast(last_updated as date) as last_updated_date,
  cast(last_updated as time) as last_updated_time,
  staff_id,
  counterparty_id,
  item_code,
  item_quantity,
  item_unit_price,
  currency_id,
  -- Not a plain cast: that would take '2022-11-04 BC' for a date of our time.
  cast(strptime(agreed_delivery_date, '%Y-%m-%d') as date) as agreed_delivery_date,
  cast(strptime(agreed_payment_date, '%Y-%m-%d') as date) as agreed_payment_date,
  agreed_delivery_location_id
from totesys.purchase_order
