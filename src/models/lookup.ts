/** Finding tables and models by name, of any number of them. */
import type { ReadableTable } from './dependencies.ts'

/** As DuckDB finds names: upper and lower case are one, but the exact spelling comes first. */
export interface Lookup<T> {
  add(item: T): void
  find(name: string): T | undefined
}

export function lookupOf<T extends { readonly name: string }>(items: Iterable<T> = []): Lookup<T> {
  const exact = new Map<string, T>()
  const folded = new Map<string, T>()
  const add = (item: T): void => {
    if (!exact.has(item.name)) exact.set(item.name, item)
    const name = item.name.toLowerCase()
    if (!folded.has(name)) folded.set(name, item)
  }
  for (const item of items) add(item)
  return { add, find: (name) => exact.get(name) ?? folded.get(name.toLowerCase()) }
}

/** Finds a table by its schema and its name. */
export function tablesOf(
  tables: Iterable<ReadableTable>,
): (schema: string, name: string) => ReadableTable | undefined {
  const bySchema = new Map<string, Lookup<ReadableTable>>()
  for (const table of tables) {
    const schema = table.schema.toLowerCase()
    const own = bySchema.get(schema) ?? lookupOf()
    own.add(table)
    bySchema.set(schema, own)
  }
  return (schema, name) => bySchema.get(schema.toLowerCase())?.find(name)
}
