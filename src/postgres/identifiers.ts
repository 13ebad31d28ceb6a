/** Quoting for SQL text: identifiers come from catalogues and models, never from values. */

/** A double-quoted identifier. Throws RangeError on a NUL byte, which PostgreSQL cannot store. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new RangeError('an identifier cannot hold a NUL character')
  return `"${name.replaceAll('"', '""')}"`
}

/** `"schema"."name"`. */
export function quoteQualified(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
}

/**
 * A literal, for statements whose protocol takes no parameters (`set local`, `comment on`).
 * Right whatever `standard_conforming_strings` says: backslashes go into an E string.
 */
export function quoteLiteral(value: string): string {
  if (value.includes('\0')) throw new RangeError('a text literal cannot hold a NUL character')
  const doubled = value.replaceAll("'", "''")
  return doubled.includes('\\') ? ` E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}
