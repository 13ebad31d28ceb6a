/** What a source's server looks at when it is asked of its catalogue: it grows with the tables, and no faster. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeRelations, listRelations } from '../../src/postgres/catalogue.ts'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { beginReading } from '../../src/postgres/session.ts'
import { measureTables, readIndexedColumns, readPairFacts } from '../../src/postgres/sizes.ts'
import { readTableFacts } from '../../src/postgres/table-facts.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

/** A restored database has statistics of none of its tables, those of the catalogue included. */
let database: TestDatabase
let connection: Connection

const FEW = 100
const MANY = 500

beforeAll(async () => {
  database = await (await testServer()).createDatabase('many')
  const make = Array.from(
    { length: MANY },
    (_, index) => `
      create type kind_${index} as enum ('a', 'b');
      create table t${index} (id int primary key, code text not null unique, kind kind_${index} not null, ref int references t${Math.max(index - 1, 0)});
      create unique index on t${index} (code, id);`,
  )
  await database.query(make.join('\n').replace('references t0', ''))
  connection = await connect({ side: 'source', name: 'shop', url: database.url })
})
afterAll(async () => {
  await connection.close()
  await database.drop()
})

interface PlanNode {
  readonly Plans?: readonly PlanNode[]
  readonly [fact: string]: unknown
}

/** Rows that came out of a node of a plan, or were looked at there and thrown away. */
function seenIn(node: PlanNode): number {
  const fact = (name: string): number => Number(node[name] ?? 0)
  const each =
    fact('Actual Rows') +
    fact('Rows Removed by Filter') +
    fact('Rows Removed by Join Filter') +
    fact('Rows Removed by Index Recheck')
  return (node.Plans ?? []).reduce((sum, below) => sum + seenIn(below), each * fact('Actual Loops'))
}

/** How many rows the server looks at for what `ask` sends. */
async function seenBy(ask: (recorded: Connection) => Promise<unknown>): Promise<number> {
  const sent: { text: string; values: readonly (string | null)[] | undefined }[] = []
  await connection.query(
    'begin',
    beginReading('repeatable read', { lockTimeoutMs: 2000, statementTimeoutMs: 60_000 }),
  )
  await ask({
    ...connection,
    query: async (doing, text, values) => {
      sent.push({ text, values })
      return connection.query(doing, text, values)
    },
  })
  let seen = 0
  for (const { text, values } of sent) {
    const rows = await connection.query(
      'explain',
      `explain (analyze, timing off, format json) ${text}`,
      values,
    )
    const [{ Plan }] = JSON.parse(rows[0]?.['QUERY PLAN'] ?? '') as [{ Plan: PlanNode }]
    seen += seenIn(Plan)
  }
  await connection.query('rollback', 'rollback')
  return seen
}

test.each([
  ['columns and keys', describeRelations],
  ['sizes', measureTables],
  ['what pairs hang on', readPairFacts],
  ['indexes', readIndexedColumns],
  ['what init asks for', readTableFacts],
])('P11: five times the tables are five times the work: %s', async (_, ask) => {
  const oids = (await listRelations(connection)).map(({ oid }) => oid)
  expect(oids).toHaveLength(MANY)
  const few = await seenBy(async (recorded) => ask(recorded, oids.slice(0, FEW)))
  const many = await seenBy(async (recorded) => ask(recorded, oids))
  expect(many).toBeGreaterThan(MANY)
  expect(many / few).toBeLessThan((2 * MANY) / FEW)
})
