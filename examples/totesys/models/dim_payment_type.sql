-- kind: dimension
-- key: payment_type_id
-- comment: What a payment is for
select
  payment_type_id,
  cast(payment_type_name as varchar) as payment_type_name
from totesys.payment_type
