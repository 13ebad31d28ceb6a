import { expect, test } from 'vitest'
import { TerminalOnly, type RunEvent } from '../../src/events.ts'
import { openJsonLines, toJson } from '../../src/observability/json-lines.ts'

test('one event is one line, and P10: a value for the terminal leaves no trace', () => {
  let text = ''
  const event: RunEvent = {
    v: 1,
    run: '01JD4R00000000',
    at: '2026-11-20T11:05:00.004Z',
    type: 'check.failed',
    model: 'dim_staff',
    check: "row(name <> '\n')",
    severity: 'error',
    rows: 2,
    keys: new TerminalOnly(['staff_id 4711']),
  }
  openJsonLines((more) => void (text += more)).read(event)
  expect(text).toMatchInlineSnapshot(`
    "{"v":1,"run":"01JD4R00000000","at":"2026-11-20T11:05:00.004Z","type":"check.failed","model":"dim_staff","check":"row(name <> '\\n')","severity":"error","rows":2}
    "
  `)
  expect(text).not.toContain('4711')
})

test('P8: numbers survive, as text where JSON has none for them', () => {
  const values = [
    1n,
    9007199254740991n,
    9007199254740992n,
    -(2n ** 127n),
    Number.NaN,
    -Infinity,
    1.5,
    null,
  ]
  expect(toJson(values)).toBe(
    '[1,9007199254740991,"9007199254740992","-170141183460469231731687303715884105728","NaN","-Infinity",1.5,null]',
  )
})
