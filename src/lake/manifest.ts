/**
 * The record of one commit (P3). A manifest is created once, names its parent and the parent's
 * sha256, and never changes; a file that no manifest names does not exist.
 *
 * Manifests and batches are numbered apart: a manifest that only writes a base, or new positions,
 * adds no batch.
 */
import type { Column, Instant, Json, ModelKind, Reference } from '../types.ts'

/** The lake format that this version writes, and the newest it reads. */
export const LAKE_FORMAT = 4

/** The first whose manifests are sealed (storage/sealed.ts). */
export const SEALED_FORMAT = 4

/** What manifests say wrote them. */
export const WRITER = 'totedata'

export interface DataFile {
  readonly key: string
  /** The batch that added it; for a base, the batch whose current rows it holds. */
  readonly batch: number
  readonly rows: number
  readonly deletes: number
  readonly bytes: number
  readonly sha256: string
  /** The first and the last row's key, in key order; of a long text its first 200 characters, so `greatest` then stands for all that begin so. */
  readonly least: readonly string[]
  readonly greatest: readonly string[]
  /** CSV and JSON Lines: bytes of the longest row at most, where it is a long one. */
  readonly longest?: number
  /** What it carries columns as, by their names now, where the table has come to carry them otherwise since. */
  readonly carried?: Readonly<Record<string, string>>
  /** What it calls columns, by their names now, where that is another name; null for those that it does not have. */
  readonly names?: Readonly<Record<string, string | null>>
  /** CSV: its columns as it calls them, in its order, where the table's is another by now. */
  readonly order?: readonly string[]
  /** It holds the changes of several batches, the last of which is `batch`. */
  readonly merged?: {
    readonly from: number
    /** The newest manifest that knows of the files it was made of. */
    readonly manifest: number
  }
}

/** A base before the newest: read through a manifest from which the batches up to `batch` are near. */
export interface OlderBase {
  /** 1, 2, … */
  readonly number: number
  /** The newest batch of the manifest. */
  readonly batch: number
  readonly manifest: number
}

/** A batch of an ingestion chain, and the manifest that added it. */
export interface InputMark {
  readonly chain: string
  readonly batch: number
  readonly manifest: number
  readonly sha256: string
}

/** What loading needs to know of a model, as it was when its rows were written. */
export interface ModelFacts {
  readonly kind: ModelKind
  /** A dimension of which every version is kept. */
  readonly history?: true
  readonly recordId: string | null
  readonly references: readonly Reference[]
  readonly comment: string | null
  /** The generation of the chain in which its model was last edited; 1 until then. */
  readonly generation: number
  /** The generation in which its history was last made anew; absent: never since the first. */
  readonly remade?: number
  /** sha256 of the query's syntax tree: formatting and comments edit nothing. */
  readonly syntax?: string
  /** Columns of which the model demands a value, although older rows may have none. */
  readonly demands?: readonly string[]
  /** Its model is gone: the rows stay as they were, and nothing is loaded any more. */
  readonly retired?: true
}

/** What came before a base. */
export interface History {
  /** Every change up to the base, oldest first. */
  readonly files: readonly DataFile[]
  readonly older: readonly OlderBase[]
}

/**
 * The key and the `xmin` of every current row, as a versioned table of its own, numbered by manifests: they
 * change where rows do not.
 */
export interface PairsEntry {
  /** What must be the same at the source, beside the table's shape, for them to count. */
  readonly origin: Readonly<Record<string, Json>>
  /** The tables that rows lie in, each with what must be the same of it. */
  readonly leaves: Readonly<Record<string, string>>
  /** The snapshot that they were read in. */
  readonly position: string
  readonly columns: readonly Column[]
  /** Files in which every key stands once. */
  readonly base: readonly DataFile[]
  /** The changes since, oldest first. */
  readonly files: readonly DataFile[]
  /** Digests of the pairs, block by block as they lie; null when there are none. */
  readonly blocks: BlocksFile | null
}

export interface BlocksFile {
  readonly key: string
  readonly bytes: number
  readonly sha256: string
  /** Pages of a block. */
  readonly pages: number
  /** By table that rows lie in, the file in which the pairs have their places; absent where they have none. */
  readonly files?: Readonly<Record<string, string>>
}

export interface TableEntry {
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  /** The source table's shape, or the sha256 of the model's definition. */
  readonly shape: string
  /** Which table of which server it was read from: while that is the same, so are attribute numbers. */
  readonly relationId?: string
  /** The source's key, where the lake tells rows apart by another one. */
  readonly sourceKey?: readonly string[]
  /** The source has the table no more: its rows stay as they were. */
  readonly gone?: true
  /** How the next difference may be found sooner; void when shape or identity differ. */
  readonly position: Readonly<Record<string, Json>>
  /** Ingestion chains, tables whose changes are found by pairs. */
  readonly pairs?: PairsEntry
  /** Current rows. */
  readonly rows: number
  /** A full copy of the current rows as of a batch; empty before the first is written. */
  readonly base: readonly DataFile[]
  /** The change files since the base, oldest first. */
  readonly files: readonly DataFile[]
  /** The manifest that wrote the base, and alone has `history`: older batches are found through it. */
  readonly previous: number | null
  readonly history?: History
  /** Processed chains only. */
  readonly model?: ModelFacts
}

export interface Manifest {
  readonly format: number
  /** Random, given by the first manifest of the chain. */
  readonly chain: string
  /** The chain's name: a source's, or a pipeline's. */
  readonly name: string
  readonly number: number
  readonly parent: { readonly number: number; readonly sha256: string } | null
  /** The newest batch. */
  readonly batch: number
  /** The newest batch's instant. */
  readonly instant: Instant
  readonly run: string
  readonly writer: string
  /** Ingestion chains: who the source was, and what the snapshot saw. */
  readonly source?: {
    readonly identity: Readonly<Record<string, Json>>
    readonly position: string | null
    /** How far the source's log went at most. */
    readonly reached?: string
  }
  /** Processed chains: the ingestion batch of every source that this batch stands for. */
  readonly inputs?: Readonly<Record<string, InputMark>>
  /** Processed chains: raised by every edit of models that the warehouse must follow; absent: 1. */
  readonly generation?: number
  /** Processed chains: the engine's version. */
  readonly engine?: string
  readonly tables: Readonly<Record<string, TableEntry>>
}

/** The generation of a processed chain. */
export function generationOf(manifest: Pick<Manifest, 'generation'>): number {
  return manifest.generation ?? 1
}

/** Tables by name, also for names such as `constructor` and `__proto__`. */
export function tableEntries(
  entries: Iterable<readonly [string, TableEntry]> = [],
): Record<string, TableEntry> {
  const tables = Object.create(null) as Record<string, TableEntry>
  for (const [name, entry] of entries) tables[name] = entry
  return tables
}

/** A manifest as it was read, with the sha256 of its bytes. */
export interface CommittedManifest extends Manifest {
  readonly sha256: string
}

type Fields = Readonly<Record<string, unknown>>

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isList(value: unknown, one: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(one)
}

/** Of rows, bytes, batches and manifests. */
export function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isAbsentOr(value: unknown, one: (item: unknown) => boolean): boolean {
  return value === undefined || one(value)
}

/** Columns as a manifest or a note tells them. */
export function areColumns(value: unknown): value is readonly Column[] {
  return isList(
    value,
    (column) =>
      isRecord(column) &&
      isCount(column['id']) &&
      isText(column['name']) &&
      isText(column['type']) &&
      isText(column['carried']) &&
      isAbsentOr(column['formerly'], (names) => isList(names, isText)) &&
      isAbsentOr(column['inside'], (parts) => isList(parts, isTypePart)),
  )
}

function isTypePart(part: unknown): boolean {
  return (
    isRecord(part) &&
    isText(part['type']) &&
    isAbsentOr(part['labels'], (labels) => isList(labels, isText)) &&
    isAbsentOr(part['past'], (labels) => isList(labels, isText)) &&
    isAbsentOr(part['attributes'], (attributes) =>
      isList(attributes, (attribute) => isList(attribute, isText)),
    )
  )
}

/** A file as a manifest or a note tells it. */
export function isDataFile(file: unknown): file is DataFile {
  return (
    isRecord(file) &&
    isText(file['key']) &&
    isText(file['sha256']) &&
    ['batch', 'rows', 'deletes', 'bytes'].every((name) => isCount(file[name])) &&
    ['least', 'greatest'].every((name) => isList(file[name], isText)) &&
    isAbsentOr(file['longest'], isCount) &&
    isAbsentOr(file['carried'], (types) => isRecord(types) && Object.values(types).every(isText)) &&
    isAbsentOr(
      file['names'],
      (names) =>
        isRecord(names) && Object.values(names).every((name) => name === null || isText(name)),
    ) &&
    isAbsentOr(file['order'], (names) => isList(names, isText)) &&
    isAbsentOr(
      file['merged'],
      (merged) => isRecord(merged) && isCount(merged['from']) && isCount(merged['manifest']),
    )
  )
}

function areFiles(value: unknown): boolean {
  return isList(value, isDataFile)
}

function isHistory(value: unknown): boolean {
  return (
    isRecord(value) &&
    areFiles(value['files']) &&
    isList(
      value['older'],
      (older) =>
        isRecord(older) && ['number', 'batch', 'manifest'].every((name) => isCount(older[name])),
    )
  )
}

function isPairsEntry(value: unknown): boolean {
  if (!isRecord(value)) return false
  const { blocks } = value
  return (
    isRecord(value['origin']) &&
    isRecord(value['leaves']) &&
    isText(value['position']) &&
    areColumns(value['columns']) &&
    areFiles(value['base']) &&
    areFiles(value['files']) &&
    (blocks === null ||
      (isRecord(blocks) &&
        isText(blocks['key']) &&
        isText(blocks['sha256']) &&
        isCount(blocks['bytes']) &&
        isCount(blocks['pages'])))
  )
}

/** Whoever follows what an entry of manifest `number` names goes back, and so comes to an end. */
export function pointsBack(
  { previous, history, base, files }: TableEntry,
  number: number,
): boolean {
  const all = [...base, ...files, ...(history?.files ?? [])]
  return (
    (previous === null || previous < number || (previous === number && history !== undefined)) &&
    all.every(({ merged }) => merged === undefined || merged.manifest < number)
  )
}

/** What a manifest says of where its rows are from, where it does. */
export function isSourceAndInputs({ source, inputs }: Partial<Manifest>): boolean {
  return (
    isAbsentOr(
      source,
      (seen) =>
        isRecord(seen) &&
        isRecord(seen['identity']) &&
        (seen['position'] === null || isText(seen['position'])) &&
        isAbsentOr(seen['reached'], isText),
    ) &&
    isAbsentOr(
      inputs,
      (marks) =>
        isRecord(marks) &&
        Object.values(marks).every(
          (mark) => isRecord(mark) && isText(mark['chain']) && isCount(mark['batch']),
        ),
    )
  )
}

/** What readers of a table take for granted: what is not so would be a fault in the midst of their work. */
export function isTableEntry(entry: unknown): entry is TableEntry {
  return (
    isRecord(entry) &&
    areColumns(entry['columns']) &&
    isList(entry['key'], isText) &&
    isText(entry['shape']) &&
    isRecord(entry['position']) &&
    isCount(entry['rows']) &&
    areFiles(entry['base']) &&
    areFiles(entry['files']) &&
    (entry['previous'] === null || isCount(entry['previous'])) &&
    isAbsentOr(entry['sourceKey'], (key) => isList(key, isText)) &&
    isAbsentOr(entry['history'], isHistory) &&
    isAbsentOr(entry['pairs'], isPairsEntry) &&
    isAbsentOr(
      entry['model'],
      (model) => isRecord(model) && isText(model['kind']) && Array.isArray(model['references']),
    )
  )
}
