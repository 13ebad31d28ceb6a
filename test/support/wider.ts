/** Of a type as `format_type` prints it, one that holds all of its values: what a column may be widened to, step by step. */
export const WIDER: Readonly<Record<string, string>> = {
  integer: 'bigint',
  bigint: 'numeric',
  'character varying(9)': 'character varying(20)',
  'character varying(20)': 'text',
  'numeric(8,2)': 'numeric(12,3)',
  'numeric(12,3)': 'numeric',
  'timestamp(3) without time zone': 'timestamp without time zone',
}
