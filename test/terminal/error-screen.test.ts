import { expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { renderError, type ErrorScreenOptions } from '../../src/terminal/error-screen.ts'
import { createStyle } from '../../src/terminal/style.ts'

const options: ErrorScreenOptions = {
  style: createStyle(false),
  ownTerminal: true,
  verbosity: 0,
  tote: 'tote',
  again: 'tote run',
  about: 'tote 0.1.0',
}

const cause = new Error('connect postgres://tote:hunter2@db/shop refused\nsecond line', {
  cause: new Error('ECONNREFUSED'),
})
const error = new ToteError('CheckFailed', 'Check "unique(email)" found 2 rows of "dim_staff"', {
  where: 'models/dim_staff.sql:4',
  why: 'Two members of staff share an address.\nNothing was committed.',
  fix: 'correct the rows at the source, or let it warn:\n-- check (warn): unique(email)',
  terminal: ['staff_id 4711\u001b[2J', 'staff_id 4712'],
  cause,
})

test('what happened, where, why, what to do, and what to type next', () => {
  expect(renderError(error, options).join('\n')).toMatchInlineSnapshot(`
    "✖ CheckFailed  Check "unique(email)" found 2 rows of "dim_staff"

      where   models/dim_staff.sql:4
      why     Two members of staff share an address.
              Nothing was committed.
      fix     correct the rows at the source, or let it warn:
              -- check (warn): unique(email)

      staff_id 4711\\x1b[2J
      staff_id 4712

      more    tote explain CheckFailed"
  `)
})

test('P10: keys of failing rows are for a terminal alone', () => {
  expect(renderError(error, { ...options, ownTerminal: false }).join('\n')).not.toContain('4711')
})

test('-v adds the chain of causes without a password, -vv the stacks', () => {
  const text = renderError(error, { ...options, verbosity: 1 }).join('\n')
  expect(text).toContain(
    'cause   Error: connect postgres://tote:***@db/shop refused\n          second line\n  cause   Error: ECONNREFUSED',
  )
  expect(text).not.toMatch(/^\s+at /m)
  expect(renderError(error, { ...options, verbosity: 2 }).join('\n')).toMatch(/^\s+at /m)
})

test('what a retry can help says how, and a chain of causes that is a circle ends', () => {
  const circle = new Error('round')
  circle.cause = circle
  const lines = renderError(new ToteError('SourceBusy', 'gave way', { cause: circle }), {
    ...options,
    verbosity: 1,
  })
  expect(lines).toContain('  again   tote run')
  expect(lines.filter((line) => line.includes('round')).length).toBeLessThanOrEqual(10)
})

test('a source line stays as it was laid out, tabs and caret included', () => {
  const invalid = new ToteError('ModelInvalid', 'models/a.sql has 1 problem', {
    problems: [{ where: 'models/a.sql:2', message: 'there is no column "idd"' }],
    terminal: ['2 │ \tselect idd', '  │ \t       ^^^ there is no column "idd"'],
  })
  expect(renderError(invalid, options).join('\n')).toMatchInlineSnapshot(`
    "✖ ModelInvalid  models/a.sql has 1 problem

      2 │ 	select idd
        │ 	       ^^^ there is no column "idd"

      more    tote explain ModelInvalid"
  `)
})
