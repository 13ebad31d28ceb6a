/** The three facts of totesys as plain selects on both sides: what the models are to make of the source. */
import type { Compared } from './equal-rows.ts'

const STAMPS = 'created_at::date, created_at::time, last_updated::date, last_updated::time'
const DATES = 'created_date, created_time, last_updated_date, last_updated_time'
const CURRENT = 'where valid_to is null and not is_deleted'

export const FACTS: readonly Compared[] = [
  {
    table: 'fact_sales_order',
    source: `select sales_order_id, ${STAMPS}, staff_id, counterparty_id, units_sold, unit_price,
      currency_id, design_id, agreed_payment_date::date, agreed_delivery_date::date,
      agreed_delivery_location_id from sales_order`,
    warehouse: `select sales_order_id, ${DATES}, sales_staff_id, counterparty_id, units_sold,
      unit_price, currency_id, design_id, agreed_payment_date, agreed_delivery_date,
      agreed_delivery_location_id from fact_sales_order ${CURRENT}`,
  },
  {
    table: 'fact_payment',
    source: `select payment_id, ${STAMPS}, transaction_id, counterparty_id, payment_amount,
      currency_id, payment_type_id, paid, payment_date::date from payment`,
    warehouse: `select payment_id, ${DATES}, transaction_id, counterparty_id, payment_amount,
      currency_id, payment_type_id, paid, payment_date from fact_payment ${CURRENT}`,
  },
  {
    table: 'fact_purchase_order',
    source: `select purchase_order_id, ${STAMPS}, staff_id, counterparty_id, item_code,
      item_quantity, item_unit_price, currency_id, agreed_delivery_date::date,
      agreed_payment_date::date, agreed_delivery_location_id from purchase_order`,
    warehouse: `select purchase_order_id, ${DATES}, staff_id, counterparty_id, item_code,
      item_quantity, item_unit_price, currency_id, agreed_delivery_date, agreed_payment_date,
      agreed_delivery_location_id from fact_purchase_order ${CURRENT}`,
  },
]
