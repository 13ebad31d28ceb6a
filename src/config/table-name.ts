/**
 * How a config names tables: `table`, `schema.table`, each part quoted as in SQL where it holds blanks,
 * dots, quotes or stars: `crm."Order Lines"`. Unlike in SQL, capitals count without quotes, too.
 */
/** In a pattern, `*` outside quotes stands for any text. */
export interface TableName {
  readonly schema: NamePart | null
  readonly name: NamePart
}

interface NamePart {
  readonly text: string
  /** Matches the part whole. */
  readonly pattern: RegExp
  readonly hasStar: boolean
}

const PART = String.raw`"(?:[^"\0]|"")+"|[^.\s"\0]+`
const NAME = new RegExp(`^(?:(${PART})\\.)?(${PART})$`)

/** A name as a config writes it, or undefined when it is none. */
export function parseTableName(text: string): TableName | undefined {
  const [, schema, name] = NAME.exec(text) ?? []
  if (name === undefined) return undefined
  return { schema: schema === undefined ? null : partOf(schema), name: partOf(name) }
}

function partOf(written: string): NamePart {
  const quoted = written.startsWith('"')
  const text = quoted ? written.slice(1, -1).replaceAll('""', '"') : written
  const pieces = quoted ? [text] : text.split('*')
  const pattern = new RegExp(`^${pieces.map(escapeRegExp).join('.*')}$`, 's')
  return { text, pattern, hasStar: pieces.length > 1 }
}

/** The name with its schema, for those written without one. */
export function withSchema(text: string, defaultSchema: string): string {
  return parseTableName(text)?.schema === null ? `${writePart(defaultSchema)}.${text}` : text
}

/** A table's name as a config writes it. */
export function writeTableName(schema: string, name: string): string {
  return `${writePart(schema)}.${writePart(name)}`
}

function writePart(text: string): string {
  return /^[^.\s"*]+$/.test(text) ? text : `"${text.replaceAll('"', '""')}"`
}

/** Whether the name, or the pattern, means this table; a name without a schema means the default one. */
export function meansTable(
  written: TableName,
  table: { readonly schema: string; readonly name: string },
  defaultSchema: string,
): boolean {
  const schema = written.schema?.pattern.test(table.schema) ?? table.schema === defaultSchema
  return schema && written.name.pattern.test(table.name)
}

/** Whether the name means one table alone. */
export function isExact({ schema, name }: TableName): boolean {
  return !name.hasStar && schema?.hasStar !== true
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}
