/** What a refused run must leave as it was: every manifest of the lake, and the warehouse to the last cell. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { quoteQualified } from '../../src/postgres/identifiers.ts'
import type { TestDatabase } from './postgres.ts'

export interface Standing {
  /** Every object under `_manifests`, with its sha256. */
  readonly manifests: readonly string[]
  /** Every relation with its columns, and its rows as text, in order. */
  readonly warehouse: Readonly<Record<string, readonly (string | null)[]>>
}

export async function readStanding(folder: string, warehouse: TestDatabase): Promise<Standing> {
  return {
    manifests: await manifestsOf(join(folder, 'lake')),
    warehouse: await relationsOf(warehouse),
  }
}

/** Every file below a folder, relative to it, in order; a missing folder has none. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

/** Pieces and locks that a command forgot. */
export async function openFiles(folder: string): Promise<string[]> {
  const state = await filesUnder(join(folder, '.tote'))
  return state.filter((name) => name.startsWith('tmp/') || name.startsWith('run.lock'))
}

async function manifestsOf(lake: string): Promise<string[]> {
  const names = (await filesUnder(lake)).filter((name) => name.includes('_manifests'))
  return Promise.all(
    names.map(async (name) => {
      const body = await readFile(join(lake, name))
      return `${name} ${createHash('sha256').update(body).digest('hex')}`
    }),
  )
}

async function relationsOf(database: TestDatabase): Promise<Record<string, (string | null)[]>> {
  const relations = await database.query(
    `select n.nspname as schema, c.relname as name,
       (select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
     order by 1, 2`,
  )
  const standing: Record<string, (string | null)[]> = {}
  for (const { schema, name, columns } of relations) {
    const relation = quoteQualified(schema ?? '', name ?? '')
    const rows = await database.query(`select t::text as row from ${relation} t order by 1`)
    standing[`${schema}.${name} (${columns})`] = rows.map((row) => row['row'] ?? null)
  }
  return standing
}
