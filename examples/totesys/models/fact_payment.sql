-- kind: fact
-- key: payment_id
-- record id: payment_record_id
-- driven by: totesys.payment
-- comment: Payments, a row for each version of a payment
-- references: created_date -> dim_date, last_updated_date -> dim_date, payment_date -> dim_date,
--   transaction_id -> dim_transaction, counterparty_id -> dim_counterparty,
--   currency_id -> dim_currency, payment_type_id -> dim_payment_type
select
  payment_id,
  cast(created_at as date) as created_date,
  cast(created_at as time) as created_time,
  cast(last_updated as date) as last_updated_date,
  cast(last_updated as time) as last_updated_time,
  transaction_id,
  counterparty_id,
  payment_amount,
  currency_id,
  payment_type_id,
  paid,
  -- Not a plain cast: that would take '2022-11-04 BC' for a date of our time.
  cast(strptime(payment_date, '%Y-%m-%d') as date) as payment_date
from totesys.payment
