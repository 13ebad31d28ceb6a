/** Hashing of single fields in rows as COPY writes them. */
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Secret } from '../../src/secrets/secret.ts'
import { maskRows } from '../../src/sources/masking.ts'

const SECRET = 'a secret of tests'

/** A field as COPY writes it in CSV. */
function field(value: string | null): string {
  if (value === null) return ''
  return value === '' || /[",\r\n]|^\\\.$/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}

function hmac(value: string): string {
  return createHmac('sha256', SECRET).update(value, 'utf8').digest('hex')
}

function masked(row: string, positions: readonly number[]): string {
  let seen = ''
  const sink = {
    row: (csv: Buffer) => {
      seen = csv.toString()
    },
    ready: () => undefined,
  }
  maskRows(sink, new Set(positions), new Secret(SECRET)).row(Buffer.from(row))
  return seen
}

test('P10: whatever the fields hold, the chosen ones become their HMAC and the others stay as they are', () => {
  const value = fc.option(
    fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom('"', ',', '\n', 'a', '\\', '.') }),
    ),
    { freq: 4, nil: null },
  )
  const row = fc.array(fc.tuple(value, fc.boolean()), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(
      row.filter((fields) => fields.some(([, chosen]) => chosen)),
      (fields) => {
        const positions = fields.flatMap(([, chosen], index) => (chosen ? [index] : []))
        const before = `${fields.map(([text]) => field(text)).join(',')}\n`
        const after = fields.map(([text, chosen]) =>
          chosen && text !== null ? hmac(text) : field(text),
        )
        expect(masked(before, positions)).toBe(`${after.join(',')}\n`)
      },
    ),
    { numRuns: 500 },
  )
})

test('NULL stays NULL, and the empty text has a hash', () => {
  expect(masked(',"",x\n', [0, 1])).toBe(`,${hmac('')},x\n`)
})

test('P11: whoever takes the rows is waited for, masked or not', async () => {
  let waited = 0
  const sink = { row: () => undefined, ready: async () => void (waited += 1) }
  await maskRows(sink, new Set([0]), new Secret(SECRET)).ready()
  expect(waited).toBe(1)
})

test('P10: a row that lacks its end is masked as far as it goes', () => {
  expect(masked('x,y', [1])).toBe(`x,${hmac('y')}`)
})
