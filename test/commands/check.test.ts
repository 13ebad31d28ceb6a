import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { play } from '../support/surface.ts'

const report = {
  passed: [
    { what: 'config', detail: 'tote.config.ts' },
    { what: 'source totesys', detail: '11 tables can be read' },
  ],
  warnings: [{ where: 'models/dim_date.sql', message: 'has no check' }],
}

test('what was checked, the warnings, and what to type next', async () => {
  const { exit, stdout, stderr } = await play(['check', '--live'], {
    pipeline: { check: async () => report },
  })
  expect(exit).toBe(0)
  expect(stdout).toMatchInlineSnapshot(`
    "✔ config           tote.config.ts
    ✔ source totesys   11 tables can be read

    Nothing is wrong; 1 warning. Next: tote run
    "
  `)
  expect(stderr).toBe('▲ models/dim_date.sql  has no check\n')
})

test('--json carries them, and whether servers were asked', async () => {
  const { stdout } = await play(['check', '--json'], { pipeline: { check: async () => report } })
  expect(JSON.parse(stdout)).toEqual({
    version: 1,
    command: 'check',
    data: { live: false, passed: report.passed },
    warnings: report.warnings,
  })
})

const failing = {
  check: async () => {
    throw new ToteError('ConfigInvalid', 'tote.config.ts has 2 problems', {
      problems: [
        { where: 'tote.config.ts:14', message: 'sources.shop.tables: choose at least one table' },
        { where: 'tote.config.ts:19', message: '"urll" is not a setting. Did you mean "url"?' },
      ],
      terminal: [
        '  14 │   tables: [],',
        '     │           ^^ sources.shop.tables: choose at least one table',
      ],
    })
  },
}

test('every problem is shown at once; source lines on a terminal only', async () => {
  const piped = await play(['check'], { pipeline: failing })
  expect(piped.exit).toBe(2)
  expect(piped.stderr).toMatchInlineSnapshot(`
    "✖ ConfigInvalid  tote.config.ts has 2 problems

      tote.config.ts:14  sources.shop.tables: choose at least one table
      tote.config.ts:19  "urll" is not a setting. Did you mean "url"?

      more    tote explain ConfigInvalid
    "
  `)
  const terminal = await play(['check', '--no-color'], { pipeline: failing, terminal: true })
  expect(terminal.stderr).toMatchInlineSnapshot(`
    "✖ ConfigInvalid  tote.config.ts has 2 problems

      tote.config.ts:19  "urll" is not a setting. Did you mean "url"?

      14 │   tables: [],
         │           ^^ sources.shop.tables: choose at least one table

      more    tote explain ConfigInvalid
    "
  `)
})

test('and in JSON as the fields of the error', async () => {
  const { exit, stdout } = await play(['check', '--json'], { pipeline: failing })
  expect(exit).toBe(2)
  expect(JSON.parse(stdout)).toMatchObject({
    command: 'check',
    error: { name: 'ConfigInvalid', problems: [{}, {}] },
  })
  expect(stdout).not.toContain('terminal')
})
