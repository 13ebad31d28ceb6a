-- kind: dimension
-- key: currency_id
-- comment: Currencies with their names by ISO 4217
-- check warn: currency_name <> 'Unknown'
select
  c.currency_id,
  c.currency_code,
  coalesce(n.currency_name, 'Unknown') as currency_name
from totesys.currency as c
left join seeds.currency_name as n on n.currency_code = c.currency_code
