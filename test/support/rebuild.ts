/** A second warehouse, loaded from nothing but the lake of the first. */
import { randomBytes } from 'node:crypto'
import { quoteQualified } from '../../src/postgres/identifiers.ts'
import { testServer, type TestDatabase } from './postgres.ts'
import { withPassword, type TestProject } from './project.ts'
import { SECRET } from './project-shop.ts'

/** Every table of the star: its columns by name, its rows as JSON, in order. */
export type WholeStar = Readonly<Record<string, readonly (string | null)[]>>

export async function wholeStar(
  database: TestDatabase,
  without: readonly string[] = [],
): Promise<WholeStar> {
  const tables = await database.query(
    `select c.relname as name,
       (select string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end, ', ' order by a.attname)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
       (select string_agg(quote_ident(a.attname), ', ' order by a.attname)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as list,
       (select string_agg(pg_get_constraintdef(k.oid), '; ' order by pg_get_constraintdef(k.oid))
        from pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'f') and k.conparentid = 0) as keys
     from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
       and c.relname not in (select jsonb_array_elements_text($1::jsonb))
     order by 1`,
    [JSON.stringify(without)],
  )
  const star: Record<string, (string | null)[]> = {}
  for (const { name, columns, list, keys } of tables) {
    const rows = await database.query(
      `select row_to_json(r)::text as row from (select ${list} from ${quoteQualified('public', name ?? '')}) as r order by 1`,
    )
    star[`${name} (${columns}) ${keys ?? ''}`] = rows.map(({ row }) => row ?? null)
  }
  return star
}

/** What loading the project's processed zone into an empty warehouse comes to. */
export async function rebuilt(project: TestProject): Promise<WholeStar> {
  return elsewhere(project, async () => project.good({ only: 'load' }))
}

/** What the models, as they are now, would have made of every ingestion batch from the first. */
export async function alwaysSo(project: TestProject): Promise<WholeStar> {
  const processed = `lake/${randomBytes(4).toString('hex')}`
  await project.configure({ lake: `processed: '${processed}'` })
  try {
    return await elsewhere(project, async () => {
      await project.good({ only: 'transform' })
      await project.good({ only: 'load' })
    })
  } finally {
    await project.configure({})
  }
}

async function elsewhere(project: TestProject, work: () => Promise<unknown>): Promise<WholeStar> {
  const server = await testServer()
  const database = await server.createDatabase('e2e_rebuild')
  try {
    await database.query(`alter database ${database.name} owner to ${project.loader}`)
    await project.environment({
      SHOP_WAREHOUSE_URL: withPassword(database.roleUrl(project.loader), `${SECRET}-loader`),
    })
    await work()
    return await wholeStar(database)
  } finally {
    await project.environment({})
    await database.drop()
  }
}
