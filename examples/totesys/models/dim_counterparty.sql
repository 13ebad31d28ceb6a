-- kind: dimension
-- key: counterparty_id
-- nullable: counterparty_legal_address_line_2, counterparty_legal_district
-- comment: Customers and suppliers with their legal address
-- check warn: counterparty_legal_country <> 'Unknown'
select
  c.counterparty_id,
  c.counterparty_legal_name,
  coalesce(a.address_line_1, 'Unknown') as counterparty_legal_address_line_1,
  a.address_line_2 as counterparty_legal_address_line_2,
  a.district as counterparty_legal_district,
  coalesce(a.city, 'Unknown') as counterparty_legal_city,
  coalesce(a.postal_code, 'Unknown') as counterparty_legal_postal_code,
  coalesce(a.country, 'Unknown') as counterparty_legal_country,
  coalesce(a.phone, 'Unknown') as counterparty_legal_phone_number
from totesys.counterparty as c
left join totesys.address as a on a.address_id = c.legal_address_id
