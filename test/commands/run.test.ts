import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import type { RunOptions, RunResult } from '../../src/pipeline/run.ts'
import { playRun, sampleSummary, SECRET_KEY } from '../support/run-events.ts'
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

const succeeding = {
  run: async (...given: readonly [unknown, unknown, Parameters<typeof playRun>[0]]) =>
    playRun(given[2]),
}

test('P12: a run ends with counts that add up, and with what to look at next', async () => {
  const { exit, stdout } = await play(['run'], { stateFolder, pipeline: succeeding })
  expect(exit).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "✔ shop · run 1M7WA6DA011111 succeeded in 6.2s

      Source table          before   inserted   updated   deleted   in lake   in source
      totesys.staff             20          2         1         1        21          21   ✔
      totesys.sales_order   11,004      1,200         4         –    12,204      12,204   ✔
      1 other unchanged          3          –         –         –         3           3   ✔
      all                   11,027      1,202         5         1    12,228      12,228   ✔

      Warehouse table    kind        loaded   deleted   current   in lake
      dim_staff          dimension        3         1        21        21   ✔
      fact_sales_order   fact         1,204         –    12,204    12,204   ✔
      all                             1,207         1    12,225    12,225   ✔

      extract 0.4s · transform 1.2s · load 0.7s
      models: 1 evaluated in full, 1 for changed rows only
      totesys batch 3 (11:05:02) · star schema batch 3 (11:05:02) · warehouse batch 3 (11:05:02)
      ▲ 1 warning

    Next
      tote status
      tote query --warehouse "select * from fact_sales_order limit 5"
    "
  `)
})

test('off a terminal each change of state is one plain line on stderr', async () => {
  const { stderr } = await play(['run'], { stateFolder, pipeline: succeeding })
  expect(stderr).toMatchInlineSnapshot(`
    "shop · run 1M7WA6DA011111
      staff: 2 inserted, 1 updated, 1 deleted  0.1s
      sales_order: 1,200 inserted, 4 updated  0.3s
    ✔ extract    3 tables, 2 with changes, 1,208 rows changed  0.4s
      dim_staff: 2 inserted, 1 updated, 1 deleted  90ms
      fact_sales_order: 1,200 inserted, 4 updated  0.7s
    ▲ check unique(email) on dim_staff found 1 row
    ✔ transform  2 models, 1,208 rows changed  1.2s
      dim_staff: 3 loaded, 1 deleted  80ms
      fact_sales_order: 1,204 loaded  0.5s
    ✔ load       2 tables, 1,208 rows written  0.7s
    "
  `)
})

test('-v adds what did not change, -q leaves only warnings', async () => {
  const verbose = await play(['run', '-v'], { stateFolder, pipeline: succeeding })
  expect(verbose.stderr).toContain('currency: no change')
  const quiet = await play(['-q', 'run'], { stateFolder, pipeline: succeeding })
  expect(quiet.stdout).toBe('')
  expect(quiet.stderr).toBe('▲ check unique(email) on dim_staff found 1 row\n')
})

test('--json writes events as lines, and the last is run.finished with the summary', async () => {
  const { exit, stdout, stderr } = await play(['run', '--json'], {
    stateFolder,
    pipeline: succeeding,
  })
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(lines[0]).toMatchInlineSnapshot(`
    {
      "at": "2026-11-20T11:06:48.000Z",
      "command": "run",
      "project": "shop",
      "run": "1M7WA6DA011111",
      "type": "run.started",
      "v": 1,
    }
  `)
  expect(lines.every(({ v, run }) => v === 1 && run === lines[0].run)).toBe(true)
  const last = lines.at(-1)
  expect(last.type).toBe('run.finished')
  expect(last.summary).toEqual(sampleSummary({ run: lines[0].run, startedAt: lines[0].at }))
})

test('--log-format json keeps the screen on stdout and turns the commentary into lines', async () => {
  const { stdout, stderr } = await play(['run', '--log-format', 'json'], {
    stateFolder,
    pipeline: succeeding,
  })
  expect(stdout).toContain('succeeded in 6.2s')
  expect(
    stderr
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).type),
  ).toContain('table.loaded')
})

test('P10: keys of failing rows reach a terminal, and neither JSON, log nor history', async () => {
  const json = await play(['run', '--json'], { stateFolder, pipeline: succeeding })
  const log = await play(['run', '--log-format', 'json'], { stateFolder, pipeline: succeeding })
  const plain = await play(['run'], { stateFolder, pipeline: succeeding })
  const terminal = await play(['run', '--no-color'], {
    stateFolder,
    pipeline: succeeding,
    terminal: true,
  })
  const runs = join(stateFolder, 'runs')
  const history = readdirSync(runs)
    .map((file) => readFileSync(join(runs, file), 'utf8'))
    .join('')
  expect(history).toContain('"check":"unique(email)"')
  for (const text of [
    json.stdout,
    json.stderr,
    log.stdout,
    log.stderr,
    plain.stdout,
    plain.stderr,
    history,
  ]) {
    expect(text).not.toContain(SECRET_KEY)
  }
  expect(terminal.stderr).toContain(SECRET_KEY)
})

test('when nothing changed it says so, in one line with what it looked at', async () => {
  const unchanged = sampleSummary().tables.map((table) => ({
    ...table,
    inserted: 0,
    updated: 0,
    deleted: 0,
  }))
  const { exit, stdout } = await play(['run'], {
    stateFolder,
    pipeline: {
      run: async (_project, _options, context) =>
        playRun(context, {
          outcome: 'nothing to do',
          tables: unchanged,
          models: [],
          warehouse: [],
          stages: [],
          batches: { ingestion: {}, processed: null, warehouse: null },
          warnings: 0,
          ms: 183,
        }),
    },
  })
  expect(exit).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "• shop · run 1M7WA6DA011111 nothing to do, in 0.2s · 3 tables, 12,228 rows unchanged
    "
  `)
})

test('a failed run shows what was done, then the error, and exits with its code', async () => {
  const error = new ToteError(
    'WarehouseUnreachable',
    'The warehouse at localhost:5432 did not answer (ECONNREFUSED)',
    {
      where: 'localhost:5432',
      why: 'nothing listens there',
      fix: 'is it running?',
      terminal: ['a line for the terminal'],
    },
  )
  const failing = {
    run: async (
      ...given: readonly [unknown, unknown, Parameters<typeof playRun>[0]]
    ): Promise<RunResult> => {
      const { summary } = await playRun(given[2], {
        outcome: 'failed',
        warehouse: [],
        error: error.toJSON(),
      })
      return { summary, error }
    },
  }
  const { exit, stdout, stderr } = await play(['-C', '/', 'run', '--only', 'load'], {
    stateFolder,
    pipeline: failing,
  })
  expect(exit).toBe(3)
  expect(stdout).toContain('✖ shop · run')
  expect(stderr.slice(stderr.indexOf('✖ Ware'))).toMatchInlineSnapshot(`
    "✖ WarehouseUnreachable  The warehouse at localhost:5432 did not answer (ECONNREFUSED)

      where   localhost:5432
      why     nothing listens there
      fix     is it running?

      more    tote explain WarehouseUnreachable
      again   tote -C / run --only load
    "
  `)
  const json = await play(['run', '--json'], { stateFolder, pipeline: failing })
  expect(json.exit).toBe(3)
  expect(JSON.parse(json.stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    type: 'run.finished',
    summary: { outcome: 'failed', error: { name: 'WarehouseUnreachable', retry: true } },
  })
})

test('the flags arrive as options', async () => {
  const seen: RunOptions[] = []
  const pipeline = {
    run: async (
      ...[, options, context]: readonly [unknown, RunOptions, Parameters<typeof playRun>[0]]
    ) => {
      seen.push(options)
      return playRun(context)
    },
  }
  await play(['run'], { stateFolder, pipeline })
  const all =
    'run --only extract --full-refresh --accept-shrink staff payment --accept-source --no-wait'
  await play(all.split(' '), { stateFolder, pipeline })
  expect(seen).toEqual([
    { wait: true },
    {
      only: 'extract',
      fullRefresh: true,
      acceptShrink: ['staff', 'payment'],
      acceptSource: true,
      wait: false,
    },
  ])
})

test('--timeout aborts the run with RunTimedOut', async () => {
  const { exit, stderr } = await play(['run', '--timeout', '20ms'], {
    stateFolder,
    pipeline: {
      run: async (_project, _options, context) => {
        await new Promise((resolve) => context.signal.addEventListener('abort', resolve))
        const error = new ToteError('RunCancelled', 'cancelled')
        const { summary } = await playRun(context, { outcome: 'cancelled', error: error.toJSON() })
        return { summary, error }
      },
    },
  })
  expect(exit).toBe(1)
  expect(stderr).toContain('RunTimedOut  Stopped after the timeout of 0.02s')
})

test('a history that cannot be written is said once, and the run goes on', async () => {
  const { exit, stderr } = await play(['run'], {
    stateFolder: '/dev/null/.tote',
    pipeline: succeeding,
  })
  expect(exit).toBe(0)
  expect(stderr.match(/the run history in .* cannot be written/g)).toHaveLength(1)
})
