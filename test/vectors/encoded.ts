/** Rows of a select in PostgreSQL's binary COPY format, buffer by buffer. */
import type { Engine } from '../../src/columns/engine.ts'
import { encodeBinary } from '../../src/vectors/copy-binary.ts'
import type { BinaryColumn } from '../../src/vectors/copy-encoders.ts'

export async function encoded(
  engine: Engine,
  select: string,
  columns: readonly BinaryColumn[],
): Promise<readonly Uint8Array[]> {
  const buffers: Uint8Array[] = []
  const chunks = engine.chunks(select)
  for await (const buffer of encodeBinary({ table: 'thing', columns, chunks })) buffers.push(buffer)
  return buffers
}
