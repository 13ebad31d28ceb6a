/** P3: JSON that was sealed is known to be as it was written; one bit of it that differs is seen. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sealJson, sealOf } from '../../src/storage/sealed.ts'

const records = fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 })

test('P3: a sealed record is whole, says what it said, and ends in the digest of what stands before', () => {
  fc.assert(
    fc.property(records, (record) => {
      const body = sealJson(record)
      expect(sealOf(body)).toBe('sound')
      const { seal, ...rest } = JSON.parse(body.toString('utf8')) as Record<string, unknown>
      const { seal: _, ...expected } = JSON.parse(JSON.stringify(record)) as typeof rest
      expect(rest).toEqual(expected)
      const open = body.subarray(0, body.length - 76)
      expect(seal).toBe(createHash('sha256').update(open).digest('hex'))
    }),
  )
  // As earlier versions wrote it.
  expect(sealJson({ a: 1 }).toString()).toBe(
    '{"a":1,"seal":"8b0f0d75aabe01bbfba9341752c2cf7626f154e676aa791427b31aebfabc2592"}\n',
  )
})

test('P3: any byte that is another one is seen; where the seal itself is gone there is none', () => {
  fc.assert(
    fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (record, place, bits) => {
      const body = sealJson(record)
      const at = place % body.length
      body[at] = (body[at] ?? 0) ^ bits
      expect(['broken', 'none']).toContain(sealOf(body))
      if (at < body.length - 76) expect(sealOf(body)).toBe('broken')
    }),
    { numRuns: 500 },
  )
})

test('P3: what has no seal at its very end is not sealed', () => {
  const body = sealJson({ a: 1 }).toString()
  for (const text of [
    '',
    '{}',
    body.slice(0, -1),
    `${body} `,
    body.slice(1),
    body.replace('}', ']'),
  ])
    expect(sealOf(Buffer.from(text))).toBe(text === body.slice(1) ? 'broken' : 'none')
  expect(sealOf(Buffer.from(body.slice(-76)))).toBe('broken')
  expect(sealOf(Buffer.from(body.slice(-75)))).toBe('none')
})
