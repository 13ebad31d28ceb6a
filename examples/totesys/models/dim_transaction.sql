-- kind: dimension
-- key: transaction_id
-- nullable: sales_order_id, purchase_order_id
-- comment: Transactions, each of one sales order or one purchase order
select
  transaction_id,
  cast(transaction_type as varchar) as transaction_type,
  sales_order_id,
  purchase_order_id
from totesys.transaction
