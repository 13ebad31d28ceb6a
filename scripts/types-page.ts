/** docs/types.md: how each type of PostgreSQL is carried, from the same table that decides it. */
import { carriedType } from '../src/postgres/carried.ts'

interface Row {
  /** As `format_type` prints them; all are carried alike. */
  readonly types: readonly string[]
  /** How the row is called, where that is not its types. */
  readonly label?: string
  /** What a warehouse that lacks the type takes; the same type where it is always there. */
  readonly builtin?: string
  readonly note?: string
}

export const TYPE_ROWS: readonly Row[] = [
  { types: ['smallint'] },
  { types: ['integer'] },
  { types: ['bigint'] },
  {
    types: ['numeric(10,2)', 'numeric(38,0)', 'numeric(4,4)'],
    label: '`numeric(p,s)`, p up to 38, s from 0 to p',
    note: 'text once a `NaN` was met',
  },
  {
    types: ['numeric', 'numeric(50,2)', 'numeric(5,-2)', 'numeric(2,5)'],
    label: '`numeric` of any other size',
    note: '`NaN` and infinities included',
  },
  { types: ['real'] },
  { types: ['double precision'], note: 'the sign of zero included' },
  { types: ['boolean'] },
  { types: ['date'], note: 'BC, the year 5874897 and infinities included' },
  {
    types: ['time without time zone', 'time(3) without time zone'],
    label: '`time`',
    note: '24:00 included',
  },
  {
    types: ['timestamp without time zone', 'timestamp(3) without time zone'],
    label: '`timestamp`',
    note: 'BC and infinities included; text once a value after 294247-01-10 04:00:54.775806 was met',
  },
  {
    types: ['timestamp with time zone', 'timestamp(0) with time zone'],
    label: '`timestamptz`',
    note: 'as `timestamp`; in UTC',
  },
  { types: ['uuid'] },
  { types: ['bytea'] },
  {
    types: ['text', 'character varying', 'character varying(3)'],
    label: '`text`, `character varying`',
    note: 'an empty text is not NULL',
  },
  {
    types: ['character(3)', '"char"', 'name'],
    label: '`character`, `"char"`, `name`',
    note: 'a `character` with the blanks at its end',
  },
  {
    types: ['time with time zone', 'interval', 'interval year to month'],
    label: '`time with time zone` (`timetz`), `interval`',
    note: '`1 year 2 mons -3 days +04:05:06.789`',
  },
  { types: ['json', 'jsonb', 'jsonpath', 'xml'], note: '`json` with its blanks and doubled keys' },
  { types: ['inet', 'cidr', 'macaddr', 'macaddr8'], note: '`10.0.0.1` without `/32`' },
  { types: ['bit(3)', 'bit varying', 'bit varying(5)'], label: '`bit`, `bit varying`' },
  { types: ['money'], note: '`$1,234.50`, whatever the locale' },
  {
    types: ['oid', 'xid', 'tid', 'pg_lsn', 'txid_snapshot', 'int2vector', 'oidvector', 'refcursor'],
  },
  { types: ['tsvector', 'tsquery'] },
  { types: ['point', 'line', 'lseg', 'box', 'path', 'polygon', 'circle'] },
  { types: ['int4range', 'int8range', 'numrange', 'daterange', 'tsrange', 'tstzrange'] },
  {
    types: [
      'int4multirange',
      'int8multirange',
      'nummultirange',
      'datemultirange',
      'tsmultirange',
      'tstzmultirange',
    ],
    note: 'from PostgreSQL 14 on',
  },
  {
    types: ['integer[]', 'text[]', 'numeric(6,2)[]'],
    label: 'arrays of any of these',
    note: '`{1,NULL}`, any dimensions and lower bounds',
  },
  { types: ['public.mood'], label: 'enums', builtin: 'text' },
  { types: ['public.pair'], label: 'composites', builtin: 'text', note: '`(1,"a b")`' },
  { types: ['public.textrange'], label: "ranges of one's own", builtin: 'text' },
  {
    types: [
      'public.hstore',
      'public.citext',
      'public.ltree',
      'public.vector(3)',
      'public.geometry(Point,4326)',
    ],
    label: 'types of extensions: `hstore`, `citext`, `ltree`, `cube`, PostGIS, pgvector …',
    builtin: 'text',
  },
  {
    types: ['public.mood[]'],
    label: 'arrays of those five',
    builtin: 'text[]',
    note: 'of a type that separates elements otherwise than by commas: `text`',
  },
  {
    types: ['regclass', 'regtype', 'aclitem'],
    label: '`regclass`, `regtype`, `regprocedure`, `regrole` and their like, `aclitem`',
    builtin: 'text',
    note: 'always that: the values name objects of the source’s server',
  },
]

function renderRow({ types, label, builtin, note }: Row): string {
  const carried = new Set(
    types.map((type) => carriedType(type).replace(/^DECIMAL.*/, 'DECIMAL(p,s)')),
  )
  const [seen = ''] = carried
  if (carried.size !== 1) throw new Error(`${types.join(', ')} are not carried alike`)
  const name = label ?? types.map((type) => `\`${type}\``).join(', ')
  const how = seen === 'VARCHAR' && types[0] !== 'text' ? 'as text' : 'as itself'
  const there = builtin === undefined ? 'the same' : `the same, else \`${builtin}\``
  const kept = note?.startsWith('always') === true ? `\`${builtin}\`` : there
  return `| ${name} | ${how} | \`${seen}\` | ${kept} | ${note ?? ''} |`
}

export function renderTypes(): string {
  return `# Types

Every value of every type arrives in the warehouse as it is at the source: never through a floating-point number,
never by guessing. The table is made from \`src/postgres/carried.ts\` by \`npm run docs\`.

| at the source | carried | a model sees | in the warehouse | notes |
| --- | --- | --- | --- | --- |
${TYPE_ROWS.map(renderRow).join('\n')}
| domains over any of these | as what they are domains of | the same | the same, else what they are domains of | |

## What a model sees

A column that is carried *as itself* is a number, a date, a text … and can be computed with. One that is carried *as
text* is the text that PostgreSQL prints, with the time zone UTC, dates as ISO 8601, intervals in the style \`postgres\`,
and names of tables and types with their schemas. To compute with it, make a value of it: \`cast(amount as decimal(18,4))\`,
\`json_extract(document, '$.a')\`, \`string_split(trim(tags, '{}'), ',')\`. A cast may round, or fail on what DuckDB does
not have; then the model fails and nothing is committed, so write \`try_cast\` where that is meant.

A select that names such a column and does nothing with it passes the text on, and the warehouse keeps it in the
source's own type. Equality, sorting and \`min\` are those of the text: \`1.0\` and \`1.00\` of a \`numeric\` without a size
are two texts, though one number.

## Values that do not fit

DuckDB has no \`NaN\` in its decimals and no timestamp after 294247-01-10 04:00:54.775806. The batch that brings the
first such value of a column says so as a warning, and the column is carried as text from then on, earlier rows too;
the warehouse's type stays what it was. A model that passes the column on need not change. One that computes with it
is refused by name, line and column, and goes on when it says what becomes of such values:
\`try_cast(amount as decimal(10,2))\`. The column stays text when the values are gone.

A [check](models.md#checks) need not change: a condition sees numbers and moments still, unless it is one that only makes
sense of text (\`amount = 'NaN'\`), and rows whose values do not fit pass it.

## Types that the warehouse does not have

An enum, a composite, a domain or a type of an extension is looked for in the warehouse under its name, schema
included (\`public.mood\`), when the table is made. Where it is missing, the column gets the built-in type of the
table above, with the same values. Tote creates no types: to keep the source's own, create them in the warehouse
before the first run. A type that is created later changes nothing in tables that are there. Labels that an enum of the source gets are added
to the warehouse's, where the loading role owns it ([schema-changes.md](schema-changes.md)).

The column \`types\` of a model's header overrides all this.

## Formats of the ingestion zone

\`lake.format\` says how the ingestion zone keeps rows: \`parquet\` (the default), \`csv\` (gzip, with a header) or \`json\`
(JSON Lines, gzip). In CSV and JSON every value is a text as PostgreSQL prints it, numbers too; NULL is nothing at all
in CSV (an empty text is \`""\`) and \`null\` in JSON. What the texts are values of, the manifest says; nothing is
guessed from them. Each file begins with \`_tote_op\` and \`_tote_batch\`. The setting can be changed at any time: files
that are there stay as they are, and are read together with the new ones. The processed zone is always Parquet.

## What is refused

- Text that is not UTF-8, which a database of the encoding SQL_ASCII may hold: \`ValueNotCarried\`. \`tote check --live\`
  warns of such a database.
- A model's own column of a type that PostgreSQL does not have (a struct, a map, a list): cast it.
`
}
