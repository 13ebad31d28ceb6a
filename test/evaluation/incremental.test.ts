/**
 * P7: after any sequence of batches, each model's rows are what its query yields over the current
 * rows, whichever way it went. Random models, random batches, a real lake with compaction, and
 * points that stand for several batches.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  openEngine,
  openEngineHome,
  type Engine,
  type EngineHome,
} from '../../src/columns/engine.ts'
import type { FileFormat } from '../../src/columns/file.ts'
import { openRandomLake, type Change } from './random-lake.ts'
import { randomModels } from './random-models.ts'

let folder: string
let home: EngineHome
let fresh: Engine
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-p7-'))
  home = openEngineHome({ tempFolder: join(folder, 'tmp'), threads: 1 })
  fresh = await openEngine({ tempFolder: join(folder, 'tmp'), threads: 1 })
})
afterAll(async () => {
  fresh.close()
  await home.close()
  await rm(folder, { recursive: true, force: true })
})

const number = fc.oneof(
  { weight: 4, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.constant(null) },
)
const words = fc.constantFrom('x', 'y', "it's", '', null)
const kinds = fc.constantFrom('k', 'l', 'm')

const ROWS: Readonly<
  Record<
    string,
    { key: fc.Arbitrary<(number | string)[]>; values: fc.Arbitrary<(number | string | null)[]> }
  >
> = {
  a: { key: fc.tuple(fc.nat(7)), values: fc.tuple(number, number, number, words) },
  b: { key: fc.tuple(fc.nat(3)), values: fc.tuple(number, words) },
  c: { key: fc.tuple(fc.nat(3)), values: fc.tuple(fc.oneof(kinds, fc.constant(null)), number) },
  e: { key: fc.tuple(fc.nat(3), fc.constantFrom('p', "q'")), values: fc.tuple(number, number) },
  s: { key: fc.tuple(kinds), values: fc.tuple(words) },
}

const changesTo = (table: string): fc.Arbitrary<Change[]> => {
  const { key = fc.constant([]), values = fc.constant([]) } = ROWS[table] ?? {}
  const change = fc.record({
    table: fc.constant(table),
    key,
    values: fc.oneof({ weight: 3, arbitrary: values }, { weight: 1, arbitrary: fc.constant(null) }),
  })
  return fc.array(change, { minLength: 1, maxLength: 5 })
}

/** Mostly of one table, as it is in life; a driving table more often than a look-up. */
const touched = fc.constantFrom(
  'a',
  'a',
  'a',
  'a',
  'a',
  'a',
  'a',
  'a',
  'b',
  'b',
  'c',
  'e',
  'e',
  's',
)
const batch = fc.oneof(
  { weight: 2, arbitrary: touched.chain(changesTo) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(touched.chain(changesTo), touched.chain(changesTo))
      .map((two) => two.flat()),
  },
)

const filling = fc
  .tuple(
    ...Object.keys(ROWS).map((table) => fc.array(changesTo(table), { minLength: 0, maxLength: 3 })),
  )
  .map((changes) => changes.flat(2))

const steps = fc.array(fc.record({ changes: batch, transformed: fc.nat(5).map((n) => n > 0) }), {
  minLength: 3,
  maxLength: 7,
})

const formats = fc.constantFrom<FileFormat[]>('parquet', 'parquet', 'csv', 'json')

const CASES = Number(process.env['TOTE_P7_CASES'] ?? 40)

let tries = 0

/** Where memory is short, a text of several statements comes again from the first: here each does, after some of them. */
function triedAgain(engine: Engine): Engine {
  const first = async (sql: string): Promise<void> => {
    const statements = sql.split(/;[ \n]/)
    tries += 1
    if (statements.length > 1)
      await engine.run(statements.slice(0, 1 + (tries % statements.length)).join(';\n'))
  }
  return {
    ...engine,
    run: async (sql) => first(sql).then(async () => engine.run(sql)),
    rows: async (sql) => first(sql).then(async () => engine.rows(sql)),
    beside: async () => triedAgain(await engine.beside()),
  }
}

test(
  `P7: incremental equals full, over ${CASES} random stars`,
  { timeout: 60_000 + CASES * 3_000 },
  async () => {
    const ways = { full: 0, driven: 0, skipped: 0 }
    const changed = { full: 0, driven: 0, skipped: 0 }
    await fc.assert(
      fc.asyncProperty(
        randomModels,
        filling,
        steps,
        formats,
        async (models, first, more, format) => {
          const lake = await openRandomLake(
            { lake: async () => triedAgain(await home.engine()), fresh },
            models,
            format,
          )
          try {
            await lake.commit(first)
            await lake.transform()
            expect(await lake.differing()).toEqual([])
            for (const [index, { changes, transformed }] of more.entries()) {
              await lake.commit(changes)
              if (!transformed && index + 1 < more.length) continue
              for (const summary of await lake.transform()) {
                for (const way of ['full', 'driven', 'skipped'] as const) {
                  ways[way] += summary.ways[way]
                  if (summary.inserted + summary.updated + summary.deleted > 0)
                    changed[way] += summary.ways[way]
                }
              }
              expect(await lake.differing()).toEqual([])
            }
          } finally {
            await lake.close()
          }
        },
      ),
      // What was found by then is told, rather than lost in the search for a smaller one.
      {
        numRuns: CASES,
        interruptAfterTimeLimit: 30_000 + CASES * 2_500,
        markInterruptAsFailure: true,
      },
    )
    const all = ways.full + ways.driven + ways.skipped
    process.stdout.write(
      `P7: ${all} evaluations, ${JSON.stringify(ways)}, of which changed rows ${JSON.stringify(changed)}\n`,
    )
    for (const way of [ways.full, ways.driven, ways.skipped]) expect(way).toBeGreaterThan(all / 5)
    expect(changed.skipped).toBe(0)
    expect(changed.driven).toBeGreaterThan(ways.driven / 4)
  },
)
