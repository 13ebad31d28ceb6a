import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Listed } from '../../src/inspect/list.ts'
import { play } from '../support/surface.ts'

beforeEach(() => {
  vi.stubEnv('TZ', 'UTC')
})
afterEach(() => {
  vi.unstubAllEnvs()
})

const instant = '2026-11-20T11:05:02.123456Z'

function listed(tables: number): Listed {
  return {
    project: 'shop',
    sources: [{ source: 'totesys', tables }],
    tables: Array.from({ length: tables }, (_, index) => ({
      source: 'totesys',
      table: `t${index}`,
      key: ['id'],
      columns: 3,
      lake: { rows: index, batch: 3, instant },
    })),
    models: Array.from({ length: 60 }, (_, index) => ({
      model: `m${index}`,
      kind: 'table' as const,
      key: ['id'],
      path: `models/m${index}.sql`,
      checks: 0,
      references: [],
      lake: index === 7 ? { rows: 7, batch: 3, instant } : null,
    })),
  }
}

async function tell(tables: number, args: readonly string[], terminal: boolean): Promise<string[]> {
  const { stdout } = await play(['list', ...args], {
    terminal,
    pipeline: { list: async () => listed(tables) },
  })
  return stdout.split('\n').map((line) => line.trim().replaceAll(/ {2,}/g, ' | '))
}
const each = (lines: readonly string[]): string[] => lines.filter((line) => /^(totesys\.t|m)\d/.test(line)) // prettier-ignore

test('of a thousand tables a person is shown the largest, and how to see the others', async () => {
  const lines = await tell(1000, [], true)
  expect(each(lines)).toHaveLength(100)
  expect(each(lines)[0]).toBe('totesys.t999 | id | 3 | 999 | 3 | 11:05:02')
  expect(each(lines)[50]).toBe('m7 | table | id | 7 | 3 | 11:05:02')
  expect(lines).toContain(
    '… and 950 smaller tables with 450,775 rows and 10 smaller models with 0 rows (tote list --all)',
  )
  expect(lines).toContain('1 source, 1,000 tables with 499,500 rows, 60 models')
})

test('all are listed in their order where it is asked for, to another program, and in JSON', async () => {
  for (const [args, terminal] of [
    [['--all'], true],
    [[], false],
  ] as const) {
    // prettier-ignore
    const lines = each(await tell(1000, args, terminal))
    expect(lines).toHaveLength(1060)
    expect(lines[0]).toMatch(/^totesys\.t0 /)
  }
  const [json] = await tell(1000, ['--json'], true)
  expect((JSON.parse(json ?? '') as { data: Listed }).data.tables).toHaveLength(1000)
})

test('few are listed as they are', async () => {
  const lines = await tell(3, ['--all'], true)
  expect(each(lines).slice(0, 3).map((line) => line.split(' ')[0])).toEqual(['totesys.t0', 'totesys.t1', 'totesys.t2']) // prettier-ignore
  expect(lines.join()).not.toContain('smaller')
})
