/**
 * One encoder per column: a chunk's vector measured, then written, as fields of COPY BINARY rows.
 * What a column needs is decided once, here; the loops over rows only move numbers. Numbers wider
 * than 32 bits are taken apart in halves, because a BigInt per value would cost more than the rest.
 */
import { ToteError } from '../errors.ts'
import { canonicalDuckdbType, parseDecimal, transferOf } from './copy-types.ts'
import {
  INLINE_BYTES,
  STRING_WIDTH,
  TWO_32,
  decimalReader,
  isNull,
  signed128,
  unsigned128,
  unsigned64,
  type ScaledReader,
  type Vector,
  type VectorReader,
} from './vectors.ts'

export interface BinaryColumn {
  readonly name: string
  /** DuckDB's name of the type, for example `DECIMAL(10,2)`. */
  readonly duckdbType: string
  /** A type as `format_type` prints it, which the DuckDB type can be sent as (`transferOf`). */
  readonly postgresType: string
}

export interface Encoder {
  /** Bytes per value in the vector. */
  readonly width: number
  /** Adds the bytes of each row's field to `sizes`. */
  measure(vector: Vector, sizes: Int32Array, rows: number): void
  /** Writes the fields of the rows `from` to `to` (not included), each at its cursor, and moves the cursors on. */
  write(vector: Vector, range: RowRange, out: Output): void
}

export interface RowRange {
  readonly from: number
  readonly to: number
}

export interface Output {
  readonly view: DataView
  readonly bytes: Uint8Array
  /** Where each row goes on, by row. */
  readonly cursors: Int32Array
}

type Put = (source: DataView, row: number, out: DataView, at: number) => void

const DAYS_1970_TO_2000 = 10_957
/** PostgreSQL's first and last date, in days since 1970. */
const FIRST_DAY = -2_440_588
const LAST_DAY = 2_145_042_905
/** 2000-01-01 and PostgreSQL's first timestamp (4714-11-24 BC), in microseconds since 1970. */
const MICROS_1970_TO_2000 = split(946_684_800_000_000n)
const FIRST_MICROS = split(-210_866_803_200_000_000n)

/** Throws ValueNotCarried when the type cannot be sent as asked. */
export function openEncoder(column: BinaryColumn, reader: VectorReader, table: string): Encoder {
  const { name, duckdbType, postgresType } = column
  if (transferOf(duckdbType, postgresType) !== 'direct') {
    throw new ToteError(
      'ValueNotCarried',
      `Column "${name}" of "${table}" is ${duckdbType}, which cannot be sent as ${postgresType}.`,
      {
        where: `${table}.${name}`,
        fix: 'cast the column in the model to a type that both have',
      },
    )
  }
  const refuse = (what: string): ToteError =>
    new ToteError('ValueNotCarried', `Column "${name}" of "${table}" holds ${what}.`, {
      where: `${table}.${name}`,
      fix: MAKE_FIT,
    })
  const decimal = parseDecimal(duckdbType)
  if (decimal !== undefined) return numeric(decimalReader(decimal.precision), decimal.scale)
  const type = canonicalDuckdbType(duckdbType)
  switch (type) {
    case 'BOOLEAN':
      return fixed(1, 1, (source, row, out, at) => out.setUint8(at, source.getUint8(row)))
    case 'BIGINT':
      return bigint(postgresType, refuse)
    case 'UBIGINT':
      return numeric(unsigned64, 0)
    case 'HUGEINT':
      return numeric(signed128, 0)
    case 'UHUGEINT':
      return numeric(unsigned128, 0)
    case 'FLOAT':
      if (postgresType === 'double precision') {
        return fixed(4, 8, (source, row, out, at) =>
          out.setFloat64(at, source.getFloat32(row * 4, true)),
        )
      }
      return fixed(4, 4, (source, row, out, at) => out.setInt32(at, source.getInt32(row * 4, true)))
    case 'DATE':
      return date(refuse)
    case 'DOUBLE':
    case 'TIME':
      return fixed(8, 8, put64)
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
      return timestamp(refuse)
    case 'UUID':
      return fixed(16, 16, (source, row, out, at) => {
        // DuckDB flips the highest bit, so that uuids sort as numbers.
        out.setInt32(at, source.getInt32(row * 16 + 12, true) ^ 0x80000000)
        out.setInt32(at + 4, source.getInt32(row * 16 + 8, true))
        out.setInt32(at + 8, source.getInt32(row * 16 + 4, true))
        out.setInt32(at + 12, source.getInt32(row * 16, true))
      })
    case 'VARCHAR':
      return bytes(reader, () =>
        refuse('a text with a NUL character, which PostgreSQL cannot store'),
      )
    case 'BLOB':
      return bytes(reader, undefined)
    default:
      return integer(type, postgresType, refuse)
  }
}

function fixed(width: number, length: number, put: Put): Encoder {
  return {
    width,
    measure: ({ validity }, sizes, rows) => {
      for (let row = 0; row < rows; row++) {
        sizes[row] = (sizes[row] as number) + (isNull(validity, row) ? 4 : 4 + length)
      }
    },
    write: ({ data, validity }, { from, to }, { view, cursors }) => {
      for (let row = from; row < to; row++) {
        const at = cursors[row] as number
        if (isNull(validity, row)) {
          cursors[row] = putNull(view, at)
          continue
        }
        view.setInt32(at, length)
        put(data, row, view, at + 4)
        cursors[row] = at + 4 + length
      }
    },
  }
}

/** Eight bytes, turned round. */
const put64: Put = (source, row, out, at) => {
  out.setInt32(at, source.getInt32(row * 8 + 4, true))
  out.setInt32(at + 4, source.getInt32(row * 8, true))
}

function putNull(view: DataView, at: number): number {
  view.setInt32(at, -1)
  return at + 4
}

/** The ways on where a column's type does not take one of its values. */
export const MAKE_FIT =
  "give the column a type that takes all of its values (types, in the model's header), or make them fit: in the model, or at the source"

type Refuse = (what: string) => ToteError

const INTEGERS: Readonly<
  Record<
    string,
    { readonly width: number; readonly read: (source: DataView, row: number) => number }
  >
> = {
  TINYINT: { width: 1, read: (source, row) => source.getInt8(row) },
  UTINYINT: { width: 1, read: (source, row) => source.getUint8(row) },
  SMALLINT: { width: 2, read: (source, row) => source.getInt16(row * 2, true) },
  USMALLINT: { width: 2, read: (source, row) => source.getUint16(row * 2, true) },
  INTEGER: { width: 4, read: (source, row) => source.getInt32(row * 4, true) },
  UINTEGER: { width: 4, read: (source, row) => source.getUint32(row * 4, true) },
}

function integer(type: string, postgresType: string, refuse: Refuse): Encoder {
  const source = INTEGERS[type]
  if (source === undefined) throw new ToteError('Bug', `No encoder for ${type}.`)
  const { width, read } = source
  if (type === 'INTEGER' && postgresType === 'integer') {
    return fixed(4, 4, (from, row, out, at) => out.setInt32(at, from.getInt32(row * 4, true)))
  }
  const put = putInteger(postgresType, refuse)
  return fixed(width, lengthOf(postgresType), (from, row, out, at) => put(read(from, row), out, at))
}

function bigint(postgresType: string, refuse: Refuse): Encoder {
  if (postgresType === 'bigint') return fixed(8, 8, put64)
  const put = putInteger(postgresType, refuse)
  return fixed(8, lengthOf(postgresType), (source, row, out, at) => {
    // Inexact beyond 2^53, which is far beyond what is accepted.
    put(source.getInt32(row * 8 + 4, true) * TWO_32 + source.getUint32(row * 8, true), out, at)
  })
}

function putInteger(
  postgresType: string,
  refuse: Refuse,
): (value: number, out: DataView, at: number) => void {
  if (postgresType === 'bigint') {
    return (value, out, at) => {
      out.setInt32(at, value < 0 ? -1 : 0)
      out.setInt32(at + 4, value)
    }
  }
  const limit = postgresType === 'smallint' ? 32_768 : 2_147_483_648
  return (value, out, at) => {
    if (value < -limit || value >= limit) throw refuse(`a number that ${postgresType} cannot hold`)
    if (limit === 32_768) out.setInt16(at, value)
    else out.setInt32(at, value)
  }
}

function lengthOf(postgresType: string): number {
  return postgresType === 'smallint' ? 2 : postgresType === 'integer' ? 4 : 8
}

function date(refuse: Refuse): Encoder {
  return fixed(4, 4, (source, row, out, at) => {
    const day = source.getInt32(row * 4, true)
    if (day === 2_147_483_647) out.setInt32(at, day)
    else if (day === -2_147_483_647) out.setInt32(at, -2_147_483_648)
    else if (day < FIRST_DAY || day > LAST_DAY)
      throw refuse('a date outside what PostgreSQL can store')
    else out.setInt32(at, day - DAYS_1970_TO_2000)
  })
}

function timestamp(refuse: Refuse): Encoder {
  return fixed(8, 8, (source, row, out, at) => {
    const high = source.getInt32(row * 8 + 4, true)
    const low = source.getUint32(row * 8, true)
    if (high === 0x7fffffff && low === 0xffffffff) {
      out.setInt32(at, high)
      out.setInt32(at + 4, -1)
    } else if (high === -0x80000000 && low === 1) {
      out.setInt32(at, high)
      out.setInt32(at + 4, 0)
    } else {
      if (high < FIRST_MICROS.high || (high === FIRST_MICROS.high && low < FIRST_MICROS.low)) {
        throw refuse('a timestamp outside what PostgreSQL can store')
      }
      const borrow = low < MICROS_1970_TO_2000.low ? 1 : 0
      out.setInt32(at, high - MICROS_1970_TO_2000.high - borrow)
      out.setInt32(at + 4, low - MICROS_1970_TO_2000.low)
    }
  })
}

function split(value: bigint): { readonly high: number; readonly low: number } {
  return { high: Number(value >> 32n), low: Number(BigInt.asUintN(32, value)) }
}

/** Text and blobs: the same bytes in both databases; `refuseNul` when a zero byte cannot be stored. */
function bytes(reader: VectorReader, refuseNul: (() => ToteError) | undefined): Encoder {
  return {
    width: STRING_WIDTH,
    measure: ({ data, validity }, sizes, rows) => {
      for (let row = 0; row < rows; row++) {
        const valid = !isNull(validity, row)
        sizes[row] =
          (sizes[row] as number) + (valid ? 4 + data.getUint32(row * STRING_WIDTH, true) : 4)
      }
    },
    write: (vector, { from, to }, { view, bytes: out, cursors }) => {
      const { data, validity } = vector
      for (let row = from; row < to; row++) {
        const at = cursors[row] as number
        if (isNull(validity, row)) {
          cursors[row] = putNull(view, at)
          continue
        }
        const length = data.getUint32(row * STRING_WIDTH, true)
        view.setInt32(at, length)
        if (length <= INLINE_BYTES) {
          for (let index = 0; index < length; index++) {
            const byte = data.getUint8(row * STRING_WIDTH + 4 + index)
            if (byte === 0 && refuseNul !== undefined) throw refuseNul()
            out[at + 4 + index] = byte
          }
        } else {
          const long = reader.longBytes(vector, row, length)
          if (refuseNul !== undefined && long.includes(0)) throw refuseNul()
          out.set(long, at + 4)
        }
        cursors[row] = at + 4 + length
      }
    },
  }
}

/** Groups of four decimal digits, least significant last, as PostgreSQL keeps them; aligned to the decimal point. */
function numeric(reader: ScaledReader, scale: number): Encoder {
  const groupsAfterPoint = Math.ceil(scale / 4)
  const pad = 10 ** (groupsAfterPoint * 4 - scale)
  const bigPad = BigInt(pad)
  const aligned = (source: DataView, row: number): number => {
    const value = reader.small(source, row) * pad
    return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : Number.NaN
  }
  return {
    width: reader.width,
    measure: ({ data, validity }, sizes, rows) => {
      for (let row = 0; row < rows; row++) {
        let length = 4
        if (!isNull(validity, row)) {
          const value = aligned(data, row)
          length +=
            8 +
            2 *
              (Number.isNaN(value) ? groupsOfBig(reader.big(data, row) * bigPad) : groupsOf(value))
        }
        sizes[row] = (sizes[row] as number) + length
      }
    },
    write: ({ data, validity }, { from, to }, { view, cursors }) => {
      for (let row = from; row < to; row++) {
        const at = cursors[row] as number
        if (isNull(validity, row)) {
          cursors[row] = putNull(view, at)
          continue
        }
        const value = aligned(data, row)
        let groups: number
        let negative: boolean
        if (Number.isNaN(value)) {
          const big = reader.big(data, row) * bigPad
          groups = groupsOfBig(big)
          negative = big < 0n
          putBigGroups(big, groups, view, at + 12)
        } else {
          groups = groupsOf(value)
          negative = value < 0
          putGroups(value, groups, view, at + 12)
        }
        view.setInt32(at, 8 + 2 * groups)
        view.setInt16(at + 4, groups)
        view.setInt16(at + 6, groups === 0 ? 0 : groups - groupsAfterPoint - 1)
        view.setUint16(at + 8, negative ? 0x4000 : 0)
        view.setUint16(at + 10, scale)
        cursors[row] = at + 12 + 2 * groups
      }
    },
  }
}

function groupsOf(value: number): number {
  const size = Math.abs(value)
  if (size < 1e8) return size < 1e4 ? (size === 0 ? 0 : 1) : 2
  return size < 1e12 ? 3 : 4
}

function putGroups(value: number, groups: number, out: DataView, at: number): void {
  let rest = Math.abs(value)
  for (let index = groups - 1; index >= 0; index--) {
    const group = rest % 10_000
    out.setInt16(at + 2 * index, group)
    rest = (rest - group) / 10_000
  }
}

function groupsOfBig(value: bigint): number {
  let groups = 0
  for (let rest = value < 0n ? -value : value; rest > 0n; rest /= 10_000n) groups++
  return groups
}

function putBigGroups(value: bigint, groups: number, out: DataView, at: number): void {
  let rest = value < 0n ? -value : value
  for (let index = groups - 1; index >= 0; index--) {
    out.setInt16(at + 2 * index, Number(rest % 10_000n))
    rest /= 10_000n
  }
}
