/**
 * Hashes single values of rows on their way out of the source, before anything else sees them: what is
 * kept, in temporary files too, is the hash. HMAC-SHA-256 of the text that PostgreSQL prints, as lower-case
 * hex; NULL stays NULL. The same secret and text give the same hash, so hashed keys still join.
 */
import { createHmac, createSecretKey } from 'node:crypto'
import type { Secret } from '../secrets/secret.ts'
import type { RowSink } from './source.ts'

const [QUOTE, COMMA, LINE_END] = [0x22, 0x2c, 0x0a]

/** A sink that hands on rows with the fields at `positions` hashed. Rows are CSV as COPY writes it. */
export function maskRows(sink: RowSink, positions: ReadonlySet<number>, secret: Secret): RowSink {
  const key = createSecretKey(secret.reveal(), 'utf8')
  const last = Math.max(...positions)
  const hash = (value: Buffer): Buffer =>
    Buffer.from(createHmac('sha256', key).update(value).digest('hex'))

  function mask(row: Buffer): Buffer {
    const parts: Buffer[] = []
    let kept = 0
    let at = 0
    for (let field = 0; field <= last; field++) {
      const end = fieldEnd(row, at)
      // An empty field is NULL; the empty text is quoted.
      if (positions.has(field) && end > at) {
        parts.push(row.subarray(kept, at), hash(fieldText(row.subarray(at, end))))
        kept = end
      }
      at = end + 1
    }
    return Buffer.concat([...parts, row.subarray(kept)])
  }

  return { row: (csv) => sink.row(mask(csv)), ready: () => sink.ready() }
}

/** The offset of the comma or line end after the field that begins at `start`. */
function fieldEnd(row: Buffer, start: number): number {
  let at = start
  if (row[at] === QUOTE) {
    do at = row.indexOf(QUOTE, at + 1) + 1
    while (row[at] === QUOTE)
    return at
  }
  while (at < row.length && row[at] !== COMMA && row[at] !== LINE_END) at += 1
  return at
}

function fieldText(field: Buffer): Buffer {
  if (field[0] !== QUOTE) return field
  const inner = field.subarray(1, -1)
  return inner.includes(QUOTE)
    ? Buffer.from(inner.toString('latin1').replaceAll('""', '"'), 'latin1')
    : inner
}
