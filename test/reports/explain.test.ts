import { expect, test } from 'vitest'
import { ERRORS, type ErrorName } from '../../src/errors.ts'
import { FIXES } from '../../src/terminal/fixes.ts'
import { play } from '../support/surface.ts'

test.each(Object.entries(ERRORS))('explains %s', async (name, { means, exit, retry }) => {
  const { exit: code, stdout } = await play(['explain', name.toLowerCase()])
  expect(code).toBe(0)
  expect(stdout).toContain(`${name}\n  ${means}\n  ${FIXES[name as ErrorName]}\n  exit ${exit}: `)
  expect(stdout).not.toContain('undefined')
  expect(stdout.includes('Running again can help')).toBe(retry)
})

test('without a name it lists all of them', async () => {
  const { stdout } = await play(['explain'])
  for (const name of Object.keys(ERRORS)) expect(stdout).toContain(`\n${name} `)
  const json = await play(['explain', '--json'])
  expect(JSON.parse(json.stdout).data).toHaveLength(Object.keys(ERRORS).length)
})
