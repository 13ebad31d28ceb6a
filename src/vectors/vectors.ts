/**
 * DuckDB's vectors as the bytes they are: values and validity are views of DuckDB's own memory,
 * read in place, without an object per value. A view lives as long as its chunk is held.
 */
import { createRequire } from 'node:module'
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
  const load = createRequire(import.meta.url)
  const bindings = load('@duckdb/node-bindings') as typeof import('@duckdb/node-bindings')
  return {
    vector: (chunk, column, width) => {
      const vector = bindings.data_chunk_get_vector(chunk.chunk, column)
      const data = bindings.vector_get_data(vector, chunk.rowCount * width)
      // Typed as always there, but null when every row is valid.
      const validity = bindings.vector_get_validity(
        vector,
        Math.ceil(chunk.rowCount / 64) * 8,
      ) as Uint8Array | null
      return {
        data: new DataView(data.buffer, data.byteOffset, data.byteLength),
        validity: validity ?? null,
      }
    },
    longBytes: ({ data }, row, length) =>
      bindings.get_data_from_pointer(
        data.buffer as ArrayBuffer,
        data.byteOffset + row * STRING_WIDTH + 8,
        length,
      ),
  }
}

export function isNull(validity: Uint8Array | null, row: number): boolean {
  return validity !== null && (((validity[row >> 3] as number) >> (row & 7)) & 1) === 0
}

/** Reads numbers too wide, or too exact, for a double alone. */
export interface ScaledReader {
  readonly width: number
  /** The number without its decimal point, or NaN when a double cannot hold it exactly. */
  small(source: DataView, row: number): number
  big(source: DataView, row: number): bigint
}

export const TWO_32 = 4_294_967_296

export function decimalReader(precision: number): ScaledReader {
  if (precision <= 4) return narrow(2, (source, row) => source.getInt16(row * 2, true))
  if (precision <= 9) return narrow(4, (source, row) => source.getInt32(row * 4, true))
  return precision <= 18 ? signed64 : signed128
}

function narrow(width: number, small: (source: DataView, row: number) => number): ScaledReader {
  return { width, small, big: (source, row) => BigInt(small(source, row)) }
}

const signed64: ScaledReader = {
  width: 8,
  small: (source, row) =>
    exact(source.getInt32(row * 8 + 4, true), source.getUint32(row * 8, true)),
  big: (source, row) => source.getBigInt64(row * 8, true),
}

export const unsigned64: ScaledReader = {
  width: 8,
  small: (source, row) =>
    exact(source.getUint32(row * 8 + 4, true), source.getUint32(row * 8, true)),
  big: (source, row) => source.getBigUint64(row * 8, true),
}

export const signed128: ScaledReader = {
  width: 16,
  small: (source, row) => {
    const high = source.getInt32(row * 16 + 4, true)
    const sign = high < 0 ? -1 : 0
    if (
      source.getInt32(row * 16 + 8, true) !== sign ||
      source.getInt32(row * 16 + 12, true) !== sign
    )
      return Number.NaN
    return exact(high, source.getUint32(row * 16, true))
  },
  big: (source, row) =>
    (source.getBigInt64(row * 16 + 8, true) << 64n) + source.getBigUint64(row * 16, true),
}

export const unsigned128: ScaledReader = {
  width: 16,
  small: () => Number.NaN,
  big: (source, row) =>
    (source.getBigUint64(row * 16 + 8, true) << 64n) + source.getBigUint64(row * 16, true),
}

function exact(high: number, low: number): number {
  return high < -0x200000 || high > 0x1fffff ? Number.NaN : high * TWO_32 + low
}
