-- kind: dimension
-- key: date_id
-- comment: Every day of the years, from the first to the last, that any fact refers to
with
  used as (
    select
      min(least(created_date, last_updated_date, agreed_payment_date, agreed_delivery_date)) as first_day,
      max(greatest(created_date, last_updated_date, agreed_payment_date, agreed_delivery_date)) as last_day
    from fact_sales_order
    union all
    select
      min(least(created_date, last_updated_date, agreed_delivery_date, agreed_payment_date)),
      max(greatest(created_date, last_updated_date, agreed_delivery_date, agreed_payment_date))
    from fact_purchase_order
    union all
    select
      min(least(created_date, last_updated_date, payment_date)),
      max(greatest(created_date, last_updated_date, payment_date))
    from fact_payment
  ),
  years as (
    select
      date_trunc('year', min(first_day)) as first_day,
      date_trunc('year', max(last_day)) + interval 1 year - interval 1 day as last_day
    from used
  ),
  days as (
    select cast(unnest(generate_series(first_day, last_day, interval 1 day)) as date) as day
    from years
  )
select
  day as date_id,
  cast(extract(year from day) as integer) as year,
  cast(extract(month from day) as integer) as month,
  cast(extract(day from day) as integer) as day,
  -- ISO: Monday is 1, Sunday is 7.
  cast(extract(isodow from day) as integer) as day_of_week,
  dayname(day) as day_name,
  monthname(day) as month_name,
  cast(extract(quarter from day) as integer) as quarter
from days
