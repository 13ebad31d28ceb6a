/** The screen of `tote show`: a few rows fit beside each other, or a column a line where they are too wide. */
import { expect, test } from 'vitest'
import type { Shown } from '../../src/inspect/show.ts'
import { captureOutput, play } from '../support/surface.ts'

const shownWith = (count: number): Shown => ({
  name: 'shop.fee',
  kind: 'source',
  path: null,
  comment: null,
  key: ['c0'],
  columns: [],
  reads: [],
  readBy: [],
  references: [],
  referredBy: [],
  checks: [],
  sql: null,
  compiled: null,
  lake: null,
  sample: {
    columns: Array.from({ length: count }, (_, index) => ({ name: `c${index}`, type: 'VARCHAR' })),
    rows: Array.from({ length: 5 }, (_, row) =>
      Array.from({ length: count }, (_, index) =>
        index === 1 ? null : `${row}.${index} ${'x'.repeat(index)}`,
      ),
    ),
    truncated: true,
  },
})

test('rows of an earlier batch say so', async () => {
  const shown = shownWith(2)
  const asOf = { batch: 7, instant: '2026-11-20T09:30:00.000000Z' }
  const stdout = captureOutput({ columns: 80 })
  await play(['show', 'fee', '--as-of', '7', '--no-color'], {
    pipeline: {
      show: async () => ({ ...shown, sample: shown.sample && { ...shown.sample, asOf } }),
    },
    surface: { stdout },
  })
  expect(stdout.text()).toContain('The first 5 rows as of batch 7\n')
})

test('a type that a warehouse may lack is shown with the one that stands in its place', async () => {
  const column = { name: 'mood', type: 'shop.mood', lake: 'VARCHAR', notNull: true, from: null }
  const columns = [
    { ...column, builtin: 'text' },
    { ...column, name: 'id', type: 'integer', builtin: null },
  ]
  const stdout = captureOutput({ columns: 100 })
  await play(['show', 'fee', '--no-color'], {
    pipeline: { show: async () => ({ ...shownWith(1), kind: 'dimension' as const, columns }) },
    surface: { stdout },
  })
  expect(stdout.text()).toMatch(/mood +shop\.mood or text +VARCHAR +not null/)
  expect(stdout.text()).toMatch(/id +integer +VARCHAR/)
})

async function rowsShown(count: number, columns: number): Promise<string[]> {
  const stdout = captureOutput({ columns })
  const { exit } = await play(['show', 'fee', '--no-color'], {
    pipeline: { show: async () => shownWith(count) },
    surface: { stdout },
  })
  expect(exit).toBe(0)
  const lines = stdout.text().split('\n')
  return lines.slice(lines.findIndex((line) => line.includes('The first'))).filter(Boolean)
}

test('rows that fit the screen are lines', async () => {
  const lines = await rowsShown(3, 80)
  expect(lines[0]).toBe('  The first 5 rows')
  expect(lines).toHaveLength(8)
  expect(lines[3]).toMatch(/^ {2}0\.0 +∅ +0\.2 xx$/)
})

test('wider ones are turned round, as many as have room; long values are cut', async () => {
  const lines = await rowsShown(30, 80)
  expect(lines[0]).toBe('  The first 3 rows')
  expect(lines).toHaveLength(31)
  expect(lines[1]).toMatch(/^ {2}c0 +0\.0 +1\.0 +2\.0$/)
  expect(lines[2]).toMatch(/^ {2}c1 +∅ +∅ +∅$/)
  expect(lines[30]).toMatch(/^ {2}c29 +0\.29 x+… +1\.29 x+… +2\.29 x+…$/)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  // However narrow, one row is shown.
  expect((await rowsShown(30, 30))[0]).toBe('  The first row')
})
