import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import type { Context, RunSummary } from '../../src/events.ts'
import type { Status } from '../../src/inspect/status.ts'
import { playRun } from '../support/run-events.ts'
import { play } from '../support/surface.ts'

let stateFolder = ''

beforeEach(() => {
  vi.stubEnv('TZ', 'UTC')
  stateFolder = mkdtempSync(join(tmpdir(), 'tote-cli-'))
})

afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(stateFolder, { recursive: true })
})

const instant = '2026-11-20T11:05:02.123456Z'
const found: Status = {
  project: 'shop',
  tables: [
    { chain: 'totesys', table: 'staff', kind: 'source', batch: 3, instant, rows: 20 },
    {
      chain: 'shop',
      table: 'fact_sales_order',
      kind: 'fact',
      batch: 2,
      instant: '2026-11-19T09:40:11.000000Z',
      rows: 184_203,
    },
  ],
  ledger: { pipeline: 'shop', batch: 1, instant: '2026-11-19T09:00:00.000000Z' },
  pending: 1,
  untransformed: 0,
  warehouse: null,
}

async function playSomeRuns(): Promise<void> {
  const at = (text: string) => ({ surface: { now: () => new Date(text) }, stateFolder })
  await play(['run'], {
    ...at('2026-11-19T11:00:00.000Z'),
    pipeline: { run: async (_p, _o, context) => playRun(context) },
  })
  const error = new ToteError('SourceUnreachable', 'gone').toJSON()
  await play(['run'], {
    ...at('2026-11-20T10:55:00.000Z'),
    pipeline: {
      run: async (_p, _o, context) =>
        playRun(context, {
          outcome: 'failed',
          stages: [{ stage: 'extract', ms: 5, outcome: 'failed' }],
          tables: [],
          warehouse: [],
          error,
        }),
    },
  })
  await play(['run'], {
    ...at('2026-11-20T11:00:00.000Z'),
    pipeline: {
      run: async (_p, _o, context) => {
        context.emit({ type: 'run.started', project: 'shop', command: 'run' })
        throw new Error('killed here')
      },
    },
  })
}

test('the last runs, how far behind each table is, and what the warehouse still has to load', async () => {
  await playSomeRuns()
  const { exit, stdout } = await play(['status'], {
    stateFolder,
    pipeline: { status: async () => found },
  })
  expect(exit).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "shop

      Run              started               took   changes   loaded   outcome
      1M7W9SYW033333   11:00:00                 –         –        –   ○ under way, or killed
      1M7W9GSX022222   10:55:00              6.2s         –        –   ✖ failed, SourceUnreachable
      1M7SQD7W011111   2026-11-19 11:00:00   6.2s     1,208    1,208   ✔ succeeded

      Table              kind     batch   fresh to              behind      rows
      totesys.staff      source       3   11:05:02              1m 46s        20
      fact_sales_order   fact         2   2026-11-19 11:00:00       1d   184,203

      ▲ the warehouse is at batch 1 (2026-11-19 09:00:00), 1 batch not loaded yet
      tote run --only load
    "
  `)
})

test('a later run that found no change makes a table fresher than its batch', async () => {
  const looked = (stages: RunSummary['stages']) => ({
    stateFolder,
    surface: { now: () => new Date('2026-11-20T11:06:30.000Z') },
    pipeline: {
      run: async (...given: readonly [unknown, unknown, Context]) =>
        playRun(given[2], {
          outcome: 'nothing to do',
          startedAt: '2026-11-20T11:06:29.000Z',
          stages,
        }),
    },
  })
  const behind = async (): Promise<string[]> => {
    const { stdout } = await play(['status'], {
      stateFolder,
      pipeline: { status: async () => found },
    })
    return stdout
      .split('\n')
      .filter((line) => /source|fact_/.test(line))
      .map((line) => line.replace(/ {2,}/g, ' '))
  }
  await play(['run'], looked([{ stage: 'extract', ms: 5, outcome: 'nothing to do' }]))
  expect(await behind()).toEqual([
    ' totesys.staff source 3 11:06:29 19.0s 20',
    ' fact_sales_order fact 2 2026-11-19 09:40:11 1d 1h 184,203',
  ])
  const all = (['extract', 'transform', 'load'] as const).map((stage) => ({
    stage,
    ms: 5,
    outcome: 'nothing to do' as const,
  }))
  await play(['run'], looked(all))
  expect((await behind())[1]).toBe(' fact_sales_order fact 2 11:06:29 19.0s 184,203')
  await play(['run'], looked(all.map((one) => ({ ...one, outcome: 'failed' as const }))))
  expect((await behind())[1]).toBe(' fact_sales_order fact 2 11:06:29 19.0s 184,203')
})

test('before the first run it says what to do', async () => {
  const nothing: Status = {
    project: 'shop',
    tables: [],
    ledger: null,
    pending: 0,
    untransformed: 0,
    warehouse: null,
  }
  const { stdout } = await play(['status'], {
    stateFolder,
    pipeline: { status: async () => nothing },
  })
  expect(stdout).toMatchInlineSnapshot(`
    "shop

      • nothing carried yet
      tote run
    "
  `)
})

test('a warehouse that does not answer is part of the answer', async () => {
  const warehouse = new ToteError('WarehouseUnreachable', 'The warehouse did not answer')
  const pipeline = {
    status: async (): Promise<Status> => ({ ...found, ledger: null, pending: null, warehouse }),
  }
  const { exit, stdout } = await play(['status'], { stateFolder, pipeline })
  expect(exit).toBe(0)
  expect(stdout).toContain(
    '✖ where the warehouse stands is not known: WarehouseUnreachable  The warehouse did not answer',
  )
})

test('--json has the same as one object', async () => {
  await playSomeRuns()
  const { stdout } = await play(['status', '--json'], {
    stateFolder,
    pipeline: { status: async () => found },
  })
  const { data, ...envelope } = JSON.parse(stdout)
  expect(envelope).toEqual({ version: 1, command: 'status', warnings: [] })
  expect(data).toMatchObject({ ...found })
  expect(data.runs.map((run: { summary?: { outcome: string } }) => run.summary?.outcome)).toEqual([
    undefined,
    'failed',
    'succeeded',
  ])
})

describe('--check', () => {
  const at = (text: string) => ({ surface: { now: () => new Date(text) } })
  const ran = async (moment: string, changes: Partial<RunSummary> = {}) =>
    play(['run'], {
      ...at(moment),
      stateFolder,
      pipeline: { run: async (_p, _o, context) => playRun(context, changes) },
    })
  const watch = async (moment: string, args: readonly string[], status: Status = found) => {
    const played = await play(['status', ...args], {
      ...at(moment),
      stateFolder,
      pipeline: { status: async () => status },
    })
    const said = played.stdout
      .split('\n')
      .filter((line) => /behind$|^ {4}(run|warehouse)/.test(line))
    return { exit: played.exit, said: said.map((line) => line.trim()) }
  }
  const error = new ToteError('SourceUnreachable', 'gone').toJSON()

  test('every table fresh, the last run good: exit 0', async () => {
    await ran('2026-11-20T11:06:00.000Z')
    expect(await watch('2026-11-20T12:05:59.000Z', ['--check'])).toEqual({
      exit: 0,
      said: ['✔ every table is at most 1h behind'],
    })
  })
  test('--max-age says how late is late, and that it is to be checked: exit 5, each late table named', async () => {
    await ran('2026-11-20T11:06:00.000Z')
    expect(await watch('2026-11-20T11:21:00.000Z', ['--max-age', '15m'])).toMatchObject({ exit: 0 })
    expect(await watch('2026-11-20T11:21:01.000Z', ['--max-age', '15m'])).toEqual({
      exit: 5,
      said: ['table totesys.staff: 15m 1s behind', 'table fact_sales_order: 15m 1s behind'],
    })
    expect((await watch('2026-11-20T11:21:01.000Z', [])).exit).toBe(0)
  })
  test('the last run failed: exit 5, until one goes well; a run that found another under way says nothing', async () => {
    await ran('2026-11-20T11:05:00.000Z')
    await ran('2026-11-20T11:06:00.000Z', { outcome: 'failed', error })
    const found5 = {
      exit: 5,
      said: [expect.stringMatching(/^run \w{14}: failed: SourceUnreachable$/)],
    }
    const watched = async () => watch('2026-11-20T11:10:00.000Z', ['--check'])
    const only = ({ exit, said }: Awaited<ReturnType<typeof watched>>) => ({
      exit,
      said: said.filter((line) => line.startsWith('run')),
    })
    expect(only(await watched())).toEqual(found5)
    const locked = new ToteError('RunLocked', 'another').toJSON()
    await ran('2026-11-20T11:07:00.000Z', { outcome: 'failed', error: locked })
    expect(only(await watched())).toEqual(found5)
    await ran('2026-11-20T11:08:00.000Z')
    expect(only(await watched())).toEqual({ exit: 0, said: [] })
  })
  test('a warehouse that does not answer, and a project that has carried nothing: exit 5', async () => {
    await ran('2026-11-20T11:06:00.000Z')
    const warehouse = new ToteError('WarehouseUnreachable', 'The warehouse did not answer')
    expect(
      await watch('2026-11-20T11:07:00.000Z', ['--check'], { ...found, warehouse, pending: null }),
    ).toEqual({ exit: 5, said: ['warehouse shop: WarehouseUnreachable'] })
    expect(
      (await watch('2026-11-20T11:07:00.000Z', ['--check'], { ...found, tables: [] })).exit,
    ).toBe(5)
  })
  test('--json has the findings, and the same exit code', async () => {
    const { exit, stdout } = await play(['status', '--check', '--json'], {
      ...at('2026-11-21T11:06:00.000Z'),
      stateFolder,
      pipeline: { status: async () => found },
    })
    expect(exit).toBe(5)
    expect(JSON.parse(stdout).data.check).toEqual({
      maxAgeMs: 3_600_000,
      findings: [
        { what: 'table', where: 'totesys.staff', message: '1d behind' },
        { what: 'table', where: 'fact_sales_order', message: '2d 1h behind' },
      ],
    })
  })
})

describe('a thousand tables', () => {
  const late = { chain: 'shop', kind: 'table', batch: 2, instant: '2026-11-19T09:40:11.000000Z' } as const // prettier-ignore
  const many: Status = {
    ...found,
    tables: [
      ...Array.from({ length: 999 }, (_, index) => ({ chain: 'totesys', table: `t${index}`, kind: 'source' as const, batch: 3, instant, rows: 1000 })), // prettier-ignore
      ...Array.from({ length: 70 }, (_, index) => ({ ...late, table: `m${index}`, rows: 2 })),
      { ...late, table: 'left', modelIsGone: true as const, rows: 5 },
    ],
    ledger: { pipeline: 'shop', batch: 2, instant },
    pending: 0,
  }
  const tell = async (args: readonly string[], terminal: boolean): Promise<string[]> => {
    const { stdout } = await play(['status', ...args], {
      stateFolder,
      terminal,
      pipeline: { status: async () => many },
    })
    return stdout.split('\n').map((line) => line.trim().replaceAll(/ {2,}/g, ' | '))
  }

  test('are told by chain and moment to a person, those that are furthest behind first', async () => {
    expect((await tell([], true)).filter((line) => /tables? of|no model|--all/.test(line))).toEqual(
      [
        '70 tables of shop | table | 2 | 2026-11-19 09:40:11 | 1d 1h | 140',
        'left | table, no model | 2 | 2026-11-19 09:40:11 | 1d 1h | 5',
        '999 tables of totesys | source | 3 | 11:05:02 | 1m 46s | 999,000',
        'tote status --all lists each table',
      ],
    )
    const found = await tell(['--max-age', '1h'], true)
    expect(found.filter((line) => line.includes('behind')).length).toBe(52)
    expect(found).toContain('… and 21 more')
  })

  test('are told one by one where it is asked for, to another program, and in JSON', async () => {
    for (const [args, terminal] of [[['--all'], true], [[], false]] as const) // prettier-ignore
      expect((await tell(args, terminal)).filter((line) => /^(totesys\.t|m)\d/.test(line))).toHaveLength(1069) // prettier-ignore
    const [json] = await tell(['--json'], true)
    expect((JSON.parse(json ?? '') as { data: Status }).data.tables).toHaveLength(1070)
  })
})
