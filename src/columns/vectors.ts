/**
 * DuckDB's vectors as the bytes they are: values and validity are views of DuckDB's own memory,
 * read in place, without an object per value. A view lives as long as its chunk is held.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'

export interface Vector {
  /** Little-endian values, one after the other, each as wide as its type. */
  readonly data: DataView
  /** One bit a row, lowest first; null when no row is NULL. */
  readonly validity: Uint8Array | null
}

export interface VectorReader {
  vector(chunk: DuckDBDataChunk, column: number, width: number): Vector
  /** The bytes of a text or blob longer than INLINE_BYTES. */
  longBytes(vector: Vector, row: number, length: number): Uint8Array
}

/** A text or blob takes 16 bytes: its length, then its bytes when they fit in the rest, else a pointer. */
export const STRING_WIDTH = 16
export const INLINE_BYTES = 12

/** Loads DuckDB's bindings. */
export async function openVectorReader(): Promise<VectorReader> {
  const { default: bindings } = await import('@duckdb/node-bindings')
  return {
    vector: (chunk, column, width) => {
      const vector = bindings.data_chunk_get_vector(chunk.chunk, column)
      const data = bindings.vector_get_data(vector, chunk.rowCount * width)
      // Typed as always there, but null when every row is valid.
      const validity = bindings.vector_get_validity(vector, Math.ceil(chunk.rowCount / 64) * 8) as Uint8Array | null
      return { data: new DataView(data.buffer, data.byteOffset, data.byteLength), validity: validity ?? null }
    },
    longBytes: ({ data }, row, length) =>
      bindings.get_data_from_pointer(data.buffer as ArrayBuffer, data.byteOffset + row * STRING_WIDTH + 8, length),
  }
}

/** Whether a row is not NULL. */
export function isValid(validity: Uint8Array, row: number): boolean {
  return (((validity[row >> 3] as number) >> (row & 7)) & 1) === 1
}
