/** How the source's tables are called in the warehouse, and by what their rows are known. */

export const KEYS = {
  address: 'address_id',
  counterparty: 'counterparty_id',
  currency: 'currency_id',
  department: 'department_id',
  design: 'design_id',
  payment: 'payment_id',
  payment_type: 'payment_type_id',
  purchase_order: 'purchase_order_id',
  sales_order: 'sales_order_id',
  staff: 'staff_id',
  transaction: 'transaction_id',
} as const

export type SourceTableName = keyof typeof KEYS

/** The model that has one row for each row of a source table; department has none of its own. */
export const MODELS: Readonly<Partial<Record<SourceTableName, string>>> = {
  address: 'dim_location',
  counterparty: 'dim_counterparty',
  currency: 'dim_currency',
  design: 'dim_design',
  payment: 'fact_payment',
  payment_type: 'dim_payment_type',
  purchase_order: 'fact_purchase_order',
  sales_order: 'fact_sales_order',
  staff: 'dim_staff',
  transaction: 'dim_transaction',
}

/** What a fact adds up to, as SQL that source, lake and warehouse all understand; exact decimals. */
export const SUMS: Readonly<Record<string, string>> = {
  payment: 'sum(payment_amount)',
  purchase_order: 'sum(item_quantity * item_unit_price)',
  sales_order: 'sum(units_sold * unit_price)',
}
