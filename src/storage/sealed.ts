/**
 * JSON that tells whether it is as it was written: its last property, `seal`, is the sha256 of all the
 * bytes before it. What nothing else names by sha256, as the newest manifest, is known by it to be whole.
 */
import { createHash } from 'node:crypto'

/** `,"seal":"`, 64 hex digits, `"}` and a line end. */
const SEAL_BYTES = 76
const SEAL = /^,"seal":"([0-9a-f]{64})"\}\n$/

/** The bytes of a record that has a property at least. */
export function sealJson(record: object): Buffer {
  const open = JSON.stringify(record).slice(0, -1)
  const seal = createHash('sha256').update(open).digest('hex')
  return Buffer.from(`${open},"seal":"${seal}"}\n`)
}

/** Whether the bytes are as sealJson made them: `none` when they end in no seal at all. */
export function sealOf(body: Buffer): 'sound' | 'broken' | 'none' {
  const from = Math.max(0, body.length - SEAL_BYTES)
  const [, seal] = SEAL.exec(body.toString('latin1', from)) ?? []
  if (seal === undefined) return 'none'
  return createHash('sha256').update(body.subarray(0, from)).digest('hex') === seal
    ? 'sound'
    : 'broken'
}
