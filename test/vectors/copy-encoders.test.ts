/**
 * Each encoder against the format as PostgreSQL's documentation and its `…_recv` functions have it: what was sent is
 * taken apart again by a reader of this file's own, and is the value that was drawn. A server judges, too, in copy-binary.pg.test.ts.
 */
import fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import type { BinaryColumn } from '../../src/vectors/copy-encoders.ts'
import { encoded } from './encoded.ts'

let engine: Engine
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tote-encoders-'))
  engine = await openEngine({ tempFolder: folder, threads: 1 })
})
afterAll(async () => {
  engine.close()
  await rm(folder, { recursive: true, force: true })
})

/** A value as DuckDB is told it, and as the field must read. */
interface Drawn {
  readonly sql: string
  readonly reads: string
}

interface Case {
  readonly duckdbType: string
  readonly postgresType: string
  readonly value: fc.Arbitrary<Drawn>
  readonly read: (field: Buffer) => string
}

async function encode(columns: readonly BinaryColumn[], select: string): Promise<Buffer> {
  return Buffer.concat(await encoded(engine, select, columns))
}

/** The fields of each row; a byte too many or too few anywhere is an error. */
function fieldsOf(bytes: Buffer): (Buffer | null)[][] {
  expect(bytes.subarray(0, 19).toString('latin1')).toBe('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0')
  const rows: (Buffer | null)[][] = []
  let at = 19
  for (;;) {
    const count = bytes.readInt16BE(at)
    at += 2
    if (count === -1) break
    const row: (Buffer | null)[] = []
    for (let field = 0; field < count; field++) {
      const length = bytes.readInt32BE(at)
      at += 4
      row.push(length === -1 ? null : bytes.subarray(at, at + length))
      at += Math.max(0, length)
    }
    rows.push(row)
  }
  expect(at).toBe(bytes.length)
  return rows
}

const hex = (field: Buffer): string => field.toString('hex')

function integerOf(bytes: number): (field: Buffer) => string {
  return (field) => {
    expect(field).toHaveLength(bytes)
    return String(bytes === 8 ? field.readBigInt64BE() : field.readIntBE(0, bytes))
  }
}

const BYTES = { smallint: 2, integer: 4, bigint: 8 } as const
type IntegerType = keyof typeof BYTES

/** All that both types hold, their least and greatest values more often. */
function integers(
  duckdbType: string,
  [least, greatest]: readonly [bigint, bigint],
  postgresType: IntegerType,
): Case {
  const limit = 2n ** BigInt(8 * BYTES[postgresType] - 1)
  const min = least < -limit ? -limit : least
  const max = greatest >= limit ? limit - 1n : greatest
  const edges = [min, max, 0n, 1n, -1n, 2n ** 31n, -(2n ** 31n), 2n ** 32n, -(2n ** 32n)]
  return {
    duckdbType,
    postgresType,
    value: fc
      .oneof(
        fc.bigInt({ min, max }),
        fc.constantFrom(...edges.filter((edge) => edge >= min && edge <= max)),
      )
      .map((n) => ({ sql: `(${n})::${duckdbType}`, reads: String(n) })),
    read: integerOf(BYTES[postgresType]),
  }
}

/** Without its point; its scale is checked on the way, and that no group is one that PostgreSQL would not write. */
function numericOf(scale: number): (field: Buffer) => string {
  return (field) => {
    const groups = field.readInt16BE(0)
    const weight = field.readInt16BE(2)
    const sign = field.readUInt16BE(4)
    expect(field.readInt16BE(6)).toBe(scale)
    expect(field).toHaveLength(8 + 2 * groups)
    const digits = Array.from({ length: groups }, (_, index) => field.readInt16BE(8 + 2 * index))
    expect(digits.every((digit) => digit >= 0 && digit < 10_000)).toBe(true)
    expect(digits[0]).not.toBe(0)
    if (groups === 0) expect([weight, sign]).toEqual([0, 0])
    expect([0, 0x4000]).toContain(sign)
    const places = 4 * (groups - 1 - weight)
    const unscaled = digits.reduce((sum, digit) => sum * 10_000n + BigInt(digit), 0n)
    const shift = BigInt(scale - places)
    if (shift < 0n) expect(unscaled % 10n ** -shift).toBe(0n)
    const value = shift < 0n ? unscaled / 10n ** -shift : unscaled * 10n ** shift
    return String(sign === 0 ? value : -value)
  }
}

function wide(duckdbType: string, [min, max]: readonly [bigint, bigint]): Case {
  return {
    duckdbType,
    postgresType: 'numeric',
    value: numbers(min, max, 39).map((n) => ({ sql: `(${n})::${duckdbType}`, reads: String(n) })),
    read: numericOf(0),
  }
}

/** Around each power of ten and of two: where a number has a group more, or is one more than a double holds. */
function numbers(min: bigint, max: bigint, digits: number): fc.Arbitrary<bigint> {
  const near = (base: bigint, powers: number): fc.Arbitrary<bigint> =>
    fc
      .tuple(
        fc.integer({ min: 0, max: powers }),
        fc.constantFrom(-1n, 0n, 1n),
        fc.constantFrom(1n, -1n),
      )
      .map(([power, more, sign]) => sign * (base ** BigInt(power) + more))
  return fc
    .oneof(fc.bigInt({ min, max }), near(10n, digits), near(2n, 127), fc.constantFrom(min, max, 0n))
    .map((n) => (n < min ? min : n > max ? max : n))
}

function decimals(precision: number, scale: number): Case {
  const type = `DECIMAL(${precision},${scale})`
  const max = 10n ** BigInt(precision) - 1n
  return {
    duckdbType: type,
    postgresType: 'numeric',
    value: numbers(-max, max, precision).map((n) => ({
      sql: `'${decimalText(n, scale)}'::${type}`,
      reads: String(n),
    })),
    read: numericOf(scale),
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`
}

const SPECIAL = ['nan', 'inf', '-inf', '0.0', '-0.0'] as const

/** By their bits; those of NaN are any that say so. */
function floats(duckdbType: 'FLOAT' | 'DOUBLE', postgresType: 'real' | 'double precision'): Case {
  const drawn = duckdbType === 'FLOAT' ? fc.float({ noNaN: true }) : fc.double({ noNaN: true })
  const text = (n: number): string =>
    Object.is(n, -0) ? '-0.0' : String(n).replace('Infinity', 'inf')
  const shown = (n: number): string => (Object.is(n, -0) ? '-0' : String(n))
  const numberOf = (value: string): number => Number(value.replace('inf', 'Infinity'))
  return {
    duckdbType,
    postgresType,
    value: fc
      .oneof(drawn.map(text), fc.constantFrom(...SPECIAL))
      .map((value) => ({ sql: `'${value}'::${duckdbType}`, reads: shown(numberOf(value)) })),
    read: (field) => {
      expect(field).toHaveLength(postgresType === 'real' ? 4 : 8)
      return shown(postgresType === 'real' ? field.readFloatBE() : field.readDoubleBE())
    },
  }
}

const FIRST_DAY = -2_440_588
const LAST_DAY = 2_145_042_905
const dates: Case = {
  duckdbType: 'DATE',
  postgresType: 'date',
  value: fc
    .oneof(
      fc.integer({ min: FIRST_DAY, max: LAST_DAY }),
      fc.constantFrom(FIRST_DAY, LAST_DAY, 0, -1, 10_956, 10_957),
    )
    .map((day) => ({
      sql: `(date '1970-01-01' + (${day})::integer)`,
      reads: String(day - 10_957),
    })),
  read: integerOf(4),
}

const FIRST_MICROS = -210_866_803_200_000_000n
const LAST_MICROS = 2n ** 63n - 2n
const YEAR_2000 = 946_684_800_000_000n
function timestamps(duckdbType: string, make: string, postgresType: string): Case {
  const edges = [0n, YEAR_2000, 2n ** 32n, 2n ** 62n, FIRST_MICROS, LAST_MICROS].flatMap((edge) => [
    edge - 1n,
    edge,
    edge + 1n,
    // Halves of 32 bits, on either side of where one borrows from the other.
    (edge & ~0xffffffffn) + (YEAR_2000 & 0xffffffffn),
    (edge & ~0xffffffffn) + (YEAR_2000 & 0xffffffffn) - 1n,
  ])
  return {
    duckdbType,
    postgresType,
    value: fc
      .oneof(fc.bigInt({ min: FIRST_MICROS, max: LAST_MICROS }), fc.constantFrom(...edges))
      .filter((micros) => micros >= FIRST_MICROS && micros <= LAST_MICROS)
      .map((micros) => ({ sql: `${make}(${micros})`, reads: String(micros - YEAR_2000) })),
    read: integerOf(8),
  }
}

/** Around the twelve bytes that DuckDB keeps in place. */
const lengths = fc.oneof(fc.nat(40), fc.constantFrom(0, 1, 11, 12, 13))
const blobs = lengths.chain((length) => fc.uint8Array({ minLength: length, maxLength: length }))
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).map((value) => value.replaceAll('\0', '')),
  lengths.map((length) => 'x'.repeat(length)),
)

const INTEGER_RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  TINYINT: [-128n, 127n],
  UTINYINT: [0n, 255n],
  SMALLINT: [-32_768n, 32_767n],
  USMALLINT: [0n, 65_535n],
  INTEGER: [-(2n ** 31n), 2n ** 31n - 1n],
  UINTEGER: [0n, 2n ** 32n - 1n],
  BIGINT: [-(2n ** 63n), 2n ** 63n - 1n],
}

const CASES: readonly Case[] = [
  {
    duckdbType: 'BOOLEAN',
    postgresType: 'boolean',
    value: fc.constantFrom({ sql: 'true', reads: '01' }, { sql: 'false', reads: '00' }),
    read: hex,
  },
  ...Object.entries(INTEGER_RANGES).flatMap(([type, range]) =>
    (Object.keys(BYTES) as IntegerType[]).map((postgres) => integers(type, range, postgres)),
  ),
  wide('UBIGINT', [0n, 2n ** 64n - 1n]),
  wide('HUGEINT', [-(2n ** 127n) + 1n, 2n ** 127n - 1n]),
  wide('UHUGEINT', [0n, 2n ** 128n - 1n]),
  ...(
    [
      [4, 0],
      [4, 1],
      [4, 4],
      [9, 2],
      [9, 9],
      [10, 2],
      [16, 3],
      [18, 0],
      [18, 5],
      [18, 18],
      [19, 0],
      [38, 0],
      [38, 10],
      [38, 37],
      [38, 38],
    ] as const
  ).map(([precision, scale]) => decimals(precision, scale)),
  floats('FLOAT', 'real'),
  floats('FLOAT', 'double precision'),
  floats('DOUBLE', 'double precision'),
  dates,
  {
    duckdbType: 'TIME',
    postgresType: 'time without time zone',
    value: fc
      .oneof(fc.integer({ min: 0, max: 86_399_999_999 }), fc.constantFrom(0, 86_399_999_999))
      .map((micros) => ({
        sql: `(time '00:00:00' + to_microseconds(${micros}))`,
        reads: String(micros),
      })),
    read: integerOf(8),
  },
  timestamps('TIMESTAMP', 'make_timestamp', 'timestamp without time zone'),
  timestamps('TIMESTAMP WITH TIME ZONE', 'make_timestamptz', 'timestamp with time zone'),
  {
    duckdbType: 'UUID',
    postgresType: 'uuid',
    value: fc
      .oneof(fc.uuid(), fc.constantFrom('0', '7', '8', 'f').map(uuidOf))
      .map((id) => ({ sql: `'${id}'::UUID`, reads: id.replaceAll('-', '') })),
    read: hex,
  },
  {
    duckdbType: 'VARCHAR',
    postgresType: 'text',
    value: texts.map((value) => ({
      sql: `decode(from_hex('${Buffer.from(value).toString('hex')}'))`,
      reads: Buffer.from(value).toString('hex'),
    })),
    read: hex,
  },
  {
    duckdbType: 'BLOB',
    postgresType: 'bytea',
    value: blobs.map((bytes) => ({
      sql: `from_hex('${Buffer.from(bytes).toString('hex')}')`,
      reads: Buffer.from(bytes).toString('hex'),
    })),
    read: hex,
  },
]

function uuidOf(digit: string): string {
  return [8, 4, 4, 4, 12].map((length) => digit.repeat(length)).join('-')
}

describe('P8: every value, and NULL, is sent as it is', () => {
  test.each(CASES.map((one) => [`${one.duckdbType} as ${one.postgresType}`, one] as const))(
    '%s',
    async (_title, { duckdbType, postgresType, value, read }) => {
      let nulls = 0
      const rows = fc.array(fc.option(value, { freq: 6 }), { minLength: 1, maxLength: 40 })
      await fc.assert(
        fc.asyncProperty(rows, async (drawn) => {
          nulls += drawn.filter((one) => one === null).length
          const list = drawn.map((one, index) => `(${index}, ${one === null ? 'null' : one.sql})`)
          const bytes = await encode(
            [
              { name: 'v', duckdbType, postgresType },
              // What comes after it stands where it ends.
              { name: 'n', duckdbType: 'INTEGER', postgresType: 'integer' },
            ],
            `select v::${duckdbType}, n::integer from (values ${list.join(', ')}) t(n, v)`,
          )
          const sent = fieldsOf(bytes).map(([field, place, ...more]) => [
            field === null || field === undefined ? null : read(field),
            place?.readInt32BE(),
            ...more,
          ])
          expect(sent).toEqual(drawn.map((one, index) => [one === null ? null : one.reads, index]))
        }),
        { numRuns: 30 },
      )
      expect(nulls, 'NULLs among all cases').toBeGreaterThan(5)
    },
  )

  test.each([
    ['DATE', 'date', `'infinity'::date`, '7fffffff'],
    ['DATE', 'date', `'-infinity'::date`, '80000000'],
    ['TIMESTAMP', 'timestamp without time zone', `'infinity'::timestamp`, '7fffffffffffffff'],
    ['TIMESTAMP', 'timestamp without time zone', `'-infinity'::timestamp`, '8000000000000000'],
    ['TIMESTAMPTZ', 'timestamp with time zone', `'infinity'::timestamptz`, '7fffffffffffffff'],
    ['TIMESTAMPTZ', 'timestamp with time zone', `'-infinity'::timestamptz`, '8000000000000000'],
  ])('%s as %s: %s', async (duckdbType, postgresType, sql, reads) => {
    const bytes = await encode([{ name: 'v', duckdbType, postgresType }], `select ${sql}`)
    expect(fieldsOf(bytes).map(([field]) => hex(field as Buffer))).toEqual([reads])
  })
})
