/**
 * DuckDB chunks as PostgreSQL's COPY BINARY. Each column of a chunk is measured, then written into
 * its place in the rows: no value becomes a JavaScript object (DESIGN.md 9). Buffers hold about
 * 256 KiB whatever the width of a row; only a longer row makes a longer one, and of few rows they are as small.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'
import { ToteError } from '../errors.ts'
import { openEncoder, type BinaryColumn, type Encoder, type Output } from './copy-encoders.ts'
import { canonicalDuckdbType } from './copy-types.ts'
import { openVectorReader, type Vector } from './vectors.ts'

export interface BinaryRows {
  /** For error messages. */
  readonly table: string
  /** In the chunks' order. */
  readonly columns: readonly BinaryColumn[]
  readonly chunks: AsyncIterable<DuckDBDataChunk>
}

const BUFFER_BYTES = 262_144
// Signature, flags, length of the header extension: both none.
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
const TRAILER = Buffer.from([0xff, 0xff])

/**
 * The bytes of `copy … from stdin (format binary)`, header and trailer included.
 * Throws ValueNotCarried, naming the column, for a type or a value that PostgreSQL cannot take.
 */
export async function* encodeBinary({
  table,
  columns,
  chunks,
}: BinaryRows): AsyncIterable<Uint8Array> {
  const reader = await openVectorReader()
  const encoders = columns.map((column) => openEncoder(column, reader, table))
  let out = openOutput(0)
  let used = 0
  let cursors = new Int32Array(0)
  let sizes = new Int32Array(0)
  let begun = false
  for await (const chunk of chunks) {
    if (!begun) checkTypes(chunk, columns, table)
    const rows = chunk.rowCount
    if (rows > sizes.length) {
      sizes = new Int32Array(rows)
      cursors = new Int32Array(rows)
    }
    const vectors = encoders.map(({ width }, index) => reader.vector(chunk, index, width))
    measure(encoders, vectors, sizes.subarray(0, rows))
    if (!begun) {
      begun = true
      const bytes = sizes.subarray(0, rows).reduce((sum, size) => sum + size, HEADER.length)
      out = openOutput(Math.min(bytes, BUFFER_BYTES))
      out.bytes.set(HEADER)
      used = HEADER.length
    }
    let from = 0
    while (from < rows) {
      let to = from
      let end = used
      while (to < rows && end + (sizes[to] as number) <= out.bytes.length) {
        cursors[to] = end
        end += sizes[to] as number
        to += 1
      }
      if (to > from) {
        writeRows(encoders, vectors, { from, to }, { ...out, cursors })
        used = end
        from = to
      } else {
        yield out.bytes.subarray(0, used)
        out = openOutput(Math.max(BUFFER_BYTES, sizes[from] as number))
        used = 0
      }
    }
  }
  yield begun ? out.bytes.subarray(0, used) : HEADER
  yield TRAILER
}

function openOutput(bytes: number): Omit<Output, 'cursors'> {
  const buffer = Buffer.allocUnsafeSlow(bytes)
  return { bytes: buffer, view: new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength) }
}

function measure(
  encoders: readonly Encoder[],
  vectors: readonly Vector[],
  sizes: Int32Array,
): void {
  sizes.fill(2)
  encoders.forEach((encoder, index) =>
    encoder.measure(vectors[index] as Vector, sizes, sizes.length),
  )
}

function writeRows(
  encoders: readonly Encoder[],
  vectors: readonly Vector[],
  range: { from: number; to: number },
  out: Output,
): void {
  for (let row = range.from; row < range.to; row++) {
    const at = out.cursors[row] as number
    out.view.setInt16(at, encoders.length)
    out.cursors[row] = at + 2
  }
  encoders.forEach((encoder, index) => encoder.write(vectors[index] as Vector, range, out))
}

/** A vector of another type than announced would be read as garbage. */
function checkTypes(chunk: DuckDBDataChunk, columns: readonly BinaryColumn[], table: string): void {
  const seen = Array.from({ length: chunk.columnCount }, (_, index) =>
    String(chunk.getColumnVector(index).type),
  )
  const announced = columns.map(({ duckdbType }) => canonicalDuckdbType(duckdbType))
  if (seen.length === announced.length && announced.every((type, index) => type === seen[index]))
    return
  throw new ToteError(
    'Bug',
    `The rows of "${table}" are (${seen.join(', ')}) and were announced as (${announced.join(', ')}).`,
  )
}
