import fc from 'fast-check'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeBinary } from '../../src/vectors/copy-binary.ts'
import { openEngine, type Engine } from '../../src/columns/engine.ts'
import { connect, type Connection } from '../../src/postgres/connection.ts'
import { testServer, type TestDatabase } from '../support/postgres.ts'

interface Case {
  readonly duckdbType: string
  readonly postgresType: string
  /** SQL literals for DuckDB. */
  readonly literal: fc.Arbitrary<string>
  /** How each side prints a value so that equal values are equal text; `v` is the column. */
  readonly duckdbText?: string
  readonly postgresText?: string
}

const PLAIN = 'v::text'
/** DuckDB says `0044-03-15 (BC) 12:00:00`, PostgreSQL `0044-03-15 12:00:00 BC`. */
const BC = `case when v::text like '%(BC)%' then replace(v::text, ' (BC)', '') || ' BC' else v::text end`
const DUCKDB_BYTES = 'lower(hex(v))'
const POSTGRES_BYTES = "encode(v, 'hex')"

const integers = (
  type: string,
  postgresType: string,
  [min, max]: readonly [bigint, bigint],
): Case => ({
  duckdbType: type,
  postgresType,
  literal: fc
    .oneof(fc.bigInt({ min, max }), fc.constantFrom(min, max, 0n, 1n, min === 0n ? 2n : -1n))
    .map((n) => `(${n})::${type}`),
})

const decimals = (precision: number, scale: number, postgresType = 'numeric'): Case => {
  const max = 10n ** BigInt(precision) - 1n
  const any = fc.bigInt({ min: -max, max })
  const small = fc
    .bigInt({ min: -20_000n, max: 20_000n })
    .map((n) => (n > max ? max : n < -max ? -max : n))
  const round = fc.integer({ min: 0, max: precision - 1 }).map((power) => 10n ** BigInt(power))
  return {
    duckdbType: `DECIMAL(${precision},${scale})`,
    postgresType,
    literal: fc
      .oneof(any, small, round, fc.constantFrom(max, -max, 0n))
      .map((n) => `'${decimalText(n, scale)}'::DECIMAL(${precision},${scale})`),
    // DuckDB leaves out the zero where a type has no place before the point.
    duckdbText: `regexp_replace(v::text, '^(-?)\\.', '\\10.')`,
  }
}

function decimalText(unscaled: bigint, scale: number): string {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, '0')
  const point = digits.length - scale
  return `${unscaled < 0n ? '-' : ''}${digits.slice(0, point)}${scale === 0 ? '' : `.${digits.slice(point)}`}`
}

const microseconds = fc.oneof(
  fc.bigInt({ min: -210_866_803_200_000_000n, max: 9_223_372_036_854_775_806n }),
  fc.bigInt({ min: -4_000_000_000_000_000n, max: 4_000_000_000_000_000n }),
  fc.constantFrom(
    0n,
    -1n,
    946_684_799_999_999n,
    946_684_800_000_000n,
    -210_866_803_200_000_000n,
    9_223_372_036_854_775_806n,
  ),
)
const text = fc
  .oneof(
    fc.string({ unit: 'grapheme', maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 14 }),
    fc.integer({ min: 10, max: 15 }).map((length) => 'x'.repeat(length)),
    fc.constantFrom(
      '',
      'NULL',
      '\\N',
      "O'Keefe",
      'ééé',
      '\u{1F600}'.repeat(4),
      'y'.repeat(300_000),
    ),
  )
  .map((value) => value.replaceAll('\0', ''))
const float = (bits: 32 | 64): fc.Arbitrary<string> => {
  const type = bits === 32 ? 'FLOAT' : 'DOUBLE'
  const numbers = bits === 32 ? fc.float({ noNaN: true }) : fc.double({ noNaN: true })
  return fc
    .oneof(
      numbers.map((n) => (Object.is(n, -0) ? '-0.0' : String(n))),
      fc.constantFrom('nan', 'inf', '-inf'),
    )
    .map((n) => `'${n.replace('Infinity', 'inf')}'::${type}`)
}
const bytea = (hex: string): string => `from_hex('${hex}')`

const CASES: Readonly<Record<string, Case>> = {
  boolean: {
    duckdbType: 'BOOLEAN',
    postgresType: 'boolean',
    literal: fc.constantFrom('true', 'false'),
  },
  tinyint: integers('TINYINT', 'smallint', [-128n, 127n]),
  utinyint: integers('UTINYINT', 'integer', [0n, 255n]),
  smallint: integers('SMALLINT', 'smallint', [-32_768n, 32_767n]),
  usmallint: integers('USMALLINT', 'integer', [0n, 65_535n]),
  integer: integers('INTEGER', 'integer', [-(2n ** 31n), 2n ** 31n - 1n]),
  integer_as_bigint: integers('INTEGER', 'bigint', [-(2n ** 31n), 2n ** 31n - 1n]),
  uinteger: integers('UINTEGER', 'bigint', [0n, 2n ** 32n - 1n]),
  bigint: integers('BIGINT', 'bigint', [-(2n ** 63n), 2n ** 63n - 1n]),
  bigint_as_integer: integers('BIGINT', 'integer', [-(2n ** 31n), 2n ** 31n - 1n]),
  bigint_as_smallint: integers('BIGINT', 'smallint', [-32_768n, 32_767n]),
  ubigint: integers('UBIGINT', 'numeric', [0n, 2n ** 64n - 1n]),
  hugeint: integers('HUGEINT', 'numeric', [-(2n ** 127n) + 1n, 2n ** 127n - 1n]),
  uhugeint: integers('UHUGEINT', 'numeric', [0n, 2n ** 128n - 1n]),
  float: {
    duckdbType: 'FLOAT',
    postgresType: 'real',
    literal: float(32),
    duckdbText: FLOAT_BITS('float'),
    postgresText: "encode(float4send(v), 'hex')",
  },
  float_as_double: {
    duckdbType: 'FLOAT',
    postgresType: 'double precision',
    literal: float(32),
    duckdbText: FLOAT_BITS('double'),
    postgresText: "encode(float8send(v), 'hex')",
  },
  double: {
    duckdbType: 'DOUBLE',
    postgresType: 'double precision',
    literal: float(64),
    duckdbText: FLOAT_BITS('double'),
    postgresText: "encode(float8send(v), 'hex')",
  },
  decimal_16: decimals(4, 1),
  decimal_16_all_scale: decimals(4, 4),
  decimal_32: decimals(9, 2),
  decimal_money: decimals(10, 2, 'numeric(10,2)'),
  decimal_64: decimals(18, 3),
  decimal_64_no_scale: decimals(18, 0),
  decimal_128: decimals(38, 10),
  decimal_128_all_scale: decimals(38, 38),
  date: {
    duckdbType: 'DATE',
    postgresType: 'date',
    literal: fc
      .oneof(
        fc.integer({ min: -2_440_588, max: 2_145_042_905 }),
        fc.integer({ min: -30_000, max: 30_000 }),
        fc.constantFrom(-2_440_588, 2_145_042_905, 0, -1),
      )
      .map((day) => `(date '1970-01-01' + (${day})::integer)`),
    duckdbText: BC,
  },
  date_infinite: {
    duckdbType: 'DATE',
    postgresType: 'date',
    literal: fc.constantFrom(`'infinity'::DATE`, `'-infinity'::DATE`),
  },
  time: {
    duckdbType: 'TIME',
    postgresType: 'time without time zone',
    literal: fc.oneof(
      fc.integer({ min: 0, max: 86_399_999_999 }).map(timeLiteral),
      fc.constantFrom(`'24:00:00'::TIME`, `'00:00:00'::TIME`),
    ),
  },
  timestamp: {
    duckdbType: 'TIMESTAMP',
    postgresType: 'timestamp without time zone',
    literal: microseconds.map((us) => `make_timestamp(${us})`),
    duckdbText: BC,
  },
  timestamp_infinite: {
    duckdbType: 'TIMESTAMP',
    postgresType: 'timestamp without time zone',
    literal: fc.constantFrom(`'infinity'::TIMESTAMP`, `'-infinity'::TIMESTAMP`),
  },
  timestamptz: {
    duckdbType: 'TIMESTAMPTZ',
    postgresType: 'timestamp with time zone',
    literal: microseconds.map((us) => `make_timestamptz(${us})`),
    duckdbText: `epoch_us(v)::text`,
    postgresText: `(extract(epoch from v) * 1000000)::numeric(30,0)::text`,
  },
  timestamptz_infinite: {
    duckdbType: 'TIMESTAMPTZ',
    postgresType: 'timestamp with time zone',
    literal: fc.constantFrom(`'infinity'::TIMESTAMPTZ`, `'-infinity'::TIMESTAMPTZ`),
  },
  uuid: {
    duckdbType: 'UUID',
    postgresType: 'uuid',
    literal: fc
      .oneof(
        fc.uuid(),
        fc.constantFrom(
          '00000000-0000-0000-0000-000000000000',
          'ffffffff-ffff-ffff-ffff-ffffffffffff',
        ),
      )
      .map((id) => `'${id}'::UUID`),
  },
  varchar: {
    duckdbType: 'VARCHAR',
    postgresType: 'text',
    literal: text.map((value) => `decode(${bytea(Buffer.from(value).toString('hex'))})`),
    duckdbText: 'lower(hex(encode(v)))',
    postgresText: "encode(convert_to(v, 'UTF8'), 'hex')",
  },
  blob: {
    duckdbType: 'BLOB',
    postgresType: 'bytea',
    literal: fc
      .uint8Array({ maxLength: 40 })
      .map((bytes) => bytea(Buffer.from(bytes).toString('hex'))),
    duckdbText: DUCKDB_BYTES,
    postgresText: POSTGRES_BYTES,
  },
}

function timeLiteral(us: number): string {
  const part = (value: number, width: number): string =>
    String(Math.floor(value)).padStart(width, '0')
  return `'${part(us / 3.6e9, 2)}:${part((us / 6e7) % 60, 2)}:${part((us / 1e6) % 60, 2)}.${part(us % 1e6, 6)}'::TIME`
}

/** The bits of a float, most significant first, as DuckDB can show them. */
function FLOAT_BITS(type: 'float' | 'double'): string {
  return type === 'float' ? 'BITS32' : 'BITS64'
}

let database: TestDatabase
let connection: Connection
let engine: Engine
let folder: string

beforeAll(async () => {
  database = await (await testServer()).createDatabase('binary')
  connection = await connect({ side: 'warehouse', name: 'warehouse', url: database.url })
  await connection.query(
    'pin',
    `set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set extra_float_digits = 1`,
  )
  folder = await mkdtemp(join(tmpdir(), 'tote-binary-'))
  engine = await openEngine({ tempFolder: folder })
})
afterAll(async () => {
  await connection.close()
  engine.close()
  await rm(folder, { recursive: true, force: true })
  await database.drop()
})

describe('P8: every value arrives as it was', () => {
  test.each(Object.entries(CASES))('%s', async (_name, kind) => {
    const row = fc.option(kind.literal, { freq: 6, nil: 'null' })
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 70 }), async (literals) => {
        await carry(kind, literals)
        expect(await printed('postgres', kind)).toEqual(await printed('duckdb', kind))
      }),
      { numRuns: 25 },
    )
  })

  test('several columns, more rows than a vector, NULL in every place, rows wider than a buffer', async () => {
    await engine.run(`create or replace table wide as select i::integer as a,
      case when i % 3 > 0 then (i * 1.37)::decimal(12,2) end as b,
      case when i % 5 > 0 then repeat('é', i % 17) end as c,
      case when i % 1999 = 0 then repeat('long', 100000) end as d,
      case when i % 2 > 0 then timestamp '2026-01-01' + to_microseconds(i * 7919) end as e
      from range(0, 7000) t(i)`)
    await connection.query(
      'create',
      'drop table if exists wide; create table wide (a integer, b numeric(12,2), c text, d text, e timestamp)',
    )
    const columns = [
      { name: 'a', duckdbType: 'INTEGER', postgresType: 'integer' },
      { name: 'b', duckdbType: 'DECIMAL(12,2)', postgresType: 'numeric(12,2)' },
      { name: 'c', duckdbType: 'VARCHAR', postgresType: 'text' },
      { name: 'd', duckdbType: 'VARCHAR', postgresType: 'text' },
      { name: 'e', duckdbType: 'TIMESTAMP', postgresType: 'timestamp without time zone' },
    ]
    const rows = await connection.copyIn(
      'load',
      'copy wide from stdin (format binary)',
      encodeBinary({ table: 'wide', columns, chunks: engine.chunks('select * from wide') }),
    )
    expect(rows).toBe(7000)
    const digest = `select count(*)::text as n, md5(string_agg(concat_ws('|', a, coalesce(b::text, '-'), coalesce(c, '-'), coalesce(md5(d), '-'), coalesce(e::text, '-')), ',' order by a)) as h from wide`
    expect(await connection.query('digest', digest)).toEqual(await engine.rows(digest))
  })
})

async function carry(kind: Case, literals: readonly string[]): Promise<void> {
  const { duckdbType, postgresType } = kind
  await engine.run(`create or replace table t (n integer, v ${duckdbType})`)
  await engine.run(
    `insert into t values ${literals.map((literal, index) => `(${index}, ${literal})`).join(', ')}`,
  )
  await connection.query(
    'create',
    `drop table if exists t; create table t (n integer, v ${postgresType})`,
  )
  const columns = [
    { name: 'n', duckdbType: 'INTEGER', postgresType: 'integer' },
    { name: 'v', duckdbType, postgresType },
  ]
  await connection.copyIn(
    'load',
    'copy t (n, v) from stdin (format binary)',
    encodeBinary({ table: 't', columns, chunks: engine.chunks('select n, v from t') }),
  )
}

async function printed(side: 'duckdb' | 'postgres', kind: Case): Promise<(string | null)[]> {
  if (side === 'postgres') {
    const rows = await connection.query(
      'read',
      `select ${kind.postgresText ?? PLAIN} as v from t order by n`,
    )
    return rows.map((row) => row['v'] ?? null)
  }
  const bits = kind.duckdbText === 'BITS32' || kind.duckdbText === 'BITS64'
  const rows = await engine.rows(
    `select ${bits ? 'v' : (kind.duckdbText ?? PLAIN)} as v from t order by n`,
  )
  return rows.map(({ v }) =>
    v === null || v === undefined
      ? null
      : bits
        ? floatBits(Number(v), kind.duckdbText === 'BITS32' ? 4 : 8)
        : String(v),
  )
}

function floatBits(value: number, bytes: 4 | 8): string {
  const buffer = Buffer.alloc(bytes)
  if (bytes === 4) buffer.writeFloatBE(value)
  else buffer.writeDoubleBE(value)
  return buffer.toString('hex')
}
