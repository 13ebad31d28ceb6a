/** Every object key of the lake: nothing else builds or parses one. */
import { createHash } from 'node:crypto'
import type { FileFormat } from '../columns/file.ts'
import type { Instant } from '../types.ts'

export interface DataKey {
  readonly chain: string
  readonly table: string
  readonly instant: Instant
  /** `0`, `1`, … within one commit. */
  readonly part: number
  /** Makes the key nobody else's. */
  readonly random: string
  readonly base: boolean
  readonly format: FileFormat
  /** It holds pairs, not rows. */
  readonly pairs?: boolean
}

const PAIRS = '_pairs'
const SUFFIXES = { parquet: 'parquet', csv: 'csv.gz', json: 'jsonl.gz' } as const

/**
 * `<chain>/<table>/yyyy/mm/dd/hhmmssffffff-<part>-<random>.<parquet, csv.gz or jsonl.gz>`; a base has `-base-`
 * before its part, pairs have `_pairs/` before the table.
 */
export function formatDataKey(key: DataKey): string {
  const { instant } = key
  const day = `${instant.slice(0, 4)}/${instant.slice(5, 7)}/${instant.slice(8, 10)}`
  const time = instant.slice(11, 26).replaceAll(/[:.]/g, '')
  const base = key.base ? '-base' : ''
  const folder = key.pairs === true ? `${PAIRS}/` : ''
  return `${encode(key.chain)}/${folder}${encode(key.table)}/${day}/${time}${base}-${key.part}-${key.random}.${SUFFIXES[key.format]}`
}

/** The inverse of formatDataKey, or undefined for a key that it did not write, or whose names it had to cut. */
export function parseDataKey(text: string): DataKey | undefined {
  const match =
    /^([^/]+)\/(_pairs\/)?([^/]+)\/(\d{4})\/(\d{2})\/(\d{2})\/(\d{2})(\d{2})(\d{2})(\d{6})(-base)?-(\d+)-([0-9a-f]+)\.(?:parquet|csv\.gz|jsonl\.gz)$/.exec(
      text,
    )
  if (match === null) return undefined
  const [
    ,
    chain = '',
    pairs,
    table = '',
    year,
    month,
    day,
    hour,
    minute,
    second,
    micros,
    base,
    part,
    random = '',
  ] = match
  const key = {
    chain: decode(chain),
    table: decode(table),
    instant: `${year}-${month}-${day}T${hour}:${minute}:${second}.${micros}Z`,
    part: Number(part),
    random,
    base: base !== undefined,
    format: formatOf(text),
    ...(pairs === undefined ? {} : { pairs: true }),
  }
  return formatDataKey(key) === text ? key : undefined
}

/** A file tells its format by its key. */
export function formatOf(key: string): FileFormat {
  return key.endsWith('.csv.gz') ? 'csv' : key.endsWith('.jsonl.gz') ? 'json' : 'parquet'
}

/** `<chain>/_pairs/<table>/<10 digits>-<random>.blocks`: digests of the pairs as manifest `manifest` names them. */
export function formatBlocksKey(place: {
  readonly chain: string
  readonly table: string
  readonly manifest: number
  readonly random: string
}): string {
  const { chain, table, manifest, random } = place
  const number = String(manifest).padStart(10, '0')
  return `${encode(chain)}/${PAIRS}/${encode(table)}/${number}-${random}.blocks`
}

/** `<chain>/_manifests/<10 digits>.json` */
export function formatManifestKey(chain: string, number: number): string {
  return `${encode(chain)}/_manifests/${String(number).padStart(10, '0')}.json`
}

/** The inverse, of the first manifest's folder: the chain's name, cut where it had to be. */
export function chainOf(folder: string): string {
  return decode(folder)
}

/** `<chain>/_drafts/<10 digits>/<10 digits>.json`: the n-th finished part of what is to be manifest `manifest`. */
export function formatDraftKey(chain: string, manifest: number, n: number): string {
  return `${draftFolder(chain, manifest)}/${String(n).padStart(10, '0')}.json`
}

function draftFolder(chain: string, manifest: number): string {
  return `${encode(chain)}/_drafts/${String(manifest).padStart(10, '0')}`
}

/** File systems take 255 bytes; a schema and a table of 63 bytes each may need more when they are encoded. */
const MAX_SEGMENT = 240

/**
 * Percent-encodes all but letters, digits, `_`, `-` and inner dots; a leading `_` would look like
 * `_manifests`. What is too long then is cut, with `~` and a digest of the name in its place.
 */
function encode(name: string): string {
  const encoded = Array.from(Buffer.from(name, 'utf8'), (byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9_.-]/.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
  const segment = encoded.replace(/^[._]/, (first) => (first === '.' ? '%2E' : '%5F'))
  if (segment.length <= MAX_SEGMENT) return segment
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32)
  return `${segment.slice(0, MAX_SEGMENT - digest.length - 1).replace(/%.?$/, '')}~${digest}`
}

function decode(text: string): string {
  const bytes = text.replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
