/**
 * The manifests of one source, or of one pipeline: `1.json`, `2.json`, … without a gap.
 *
 * Commit: every file that the manifest names is durable already; then the manifest is created under
 * the next number, conditionally. Whoever finds the number taken has lost, and computes its
 * difference again on the new parent (P3). Nothing is ever overwritten or deleted, so the newest
 * manifest is found by asking for numbers: doubling, then halving.
 */
import { createHash } from 'node:crypto'
import { ToteError } from '../errors.ts'
import { sealJson, sealOf } from '../storage/sealed.ts'
import type { Store } from '../storage/store.ts'
import { formatManifestKey } from './keys.ts'
import {
  isCount,
  isSourceAndInputs,
  isTableEntry,
  LAKE_FORMAT,
  pointsBack,
  SEALED_FORMAT,
  tableEntries,
  type CommittedManifest,
  type Manifest,
} from './manifest.ts'

export type ManifestDraft = Omit<Manifest, 'format' | 'name' | 'number' | 'parent'>

export interface Chain {
  readonly name: string
  /** The newest manifest, or null before the first. Throws LakeCorrupt, LakeNewer, LakeUnreachable. */
  newest(): Promise<CommittedManifest | null>
  /** A manifest by number. Throws LakeCorrupt when it is missing. */
  read(number: number): Promise<CommittedManifest>
  /** Creates the manifest after `parent`. Throws LakeConflict when another run was first. */
  commit(draft: ManifestDraft, parent: CommittedManifest | null): Promise<CommittedManifest>
}

/** Manifests kept in memory: a chain may have any number of them. */
const KEPT = 64

export function openChain(store: Store, name: string): Chain {
  const exists = async (number: number): Promise<boolean> =>
    store.has(formatManifestKey(name, number))
  const known = new Map<number, CommittedManifest>()
  const remember = (manifest: CommittedManifest): void => {
    known.delete(manifest.number)
    known.set(manifest.number, manifest)
    const [oldest] = known.keys()
    if (known.size > KEPT && oldest !== undefined) known.delete(oldest)
  }
  let last = 0

  const find = async (number: number): Promise<CommittedManifest | undefined> => {
    const seen = known.get(number)
    if (seen !== undefined) return seen
    const key = formatManifestKey(name, number)
    const body = await store.read(key)
    if (body === undefined) return undefined
    const manifest = parseManifest(body, { key, name, number })
    remember(manifest)
    return manifest
  }
  const read = async (number: number): Promise<CommittedManifest> => {
    const manifest = await find(number)
    if (manifest !== undefined) return manifest
    throw corrupt(formatManifestKey(name, number), 'is missing')
  }
  return {
    name,
    read,
    newest: async () => {
      last = await newestNumber(exists, last)
      if (last === 0) return null
      const manifest = await read(last)
      if (manifest.parent !== null) {
        const parent = await read(manifest.parent.number)
        if (parent.sha256 !== manifest.parent.sha256 || parent.chain !== manifest.chain) {
          throw corrupt(
            formatManifestKey(name, last),
            `names a parent ${parent.number} of another content`,
          )
        }
      }
      return manifest
    },
    commit: async (draft, parent) => {
      const number = (parent?.number ?? 0) + 1
      const manifest: Manifest = {
        format: LAKE_FORMAT,
        name,
        number,
        parent: parent === null ? null : { number: parent.number, sha256: parent.sha256 },
        ...draft,
        tables: withoutHistory(draft.tables, number),
      }
      const body = sealJson(manifest)
      const key = formatManifestKey(name, number)
      if ((await store.create(key, body)) === 'exists') {
        throw new ToteError(
          'LakeConflict',
          `Manifest "${key}" exists already: another run committed first.`,
          {
            where: store.url,
            fix: 'run again: it computes afresh on what the other run committed',
          },
        )
      }
      const committed = { ...manifest, sha256: sha256(body) }
      remember(committed)
      last = number
      return committed
    },
  }
}

/** History is told once, by the manifest that wrote the base: the others only name that manifest. */
function withoutHistory(tables: Manifest['tables'], number: number): Manifest['tables'] {
  return tableEntries(
    Object.entries(tables).map(([name, entry]) => {
      const { history, ...rest } = entry
      return [name, history === undefined || entry.previous === number ? entry : rest]
    }),
  )
}

/** The greatest number that exists, given that none is missing below it and `from` is known to exist. */
export async function newestNumber(
  exists: (number: number) => Promise<boolean>,
  from: number,
): Promise<number> {
  let low = from
  let step = 1
  while (await exists(low + step)) {
    low += step
    step *= 2
  }
  let high = low + step
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (await exists(middle)) low = middle
    else high = middle
  }
  return low
}

function parseManifest(
  body: Buffer,
  expected: { key: string; name: string; number: number },
): CommittedManifest {
  let parsed: (Partial<Manifest> & { seal?: unknown }) | null
  try {
    parsed = JSON.parse(body.toString('utf8')) as typeof parsed
  } catch {
    throw corrupt(expected.key, 'is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || typeof parsed.format !== 'number') {
    throw corrupt(expected.key, 'is not a manifest')
  }
  if (parsed.format > LAKE_FORMAT) {
    throw new ToteError(
      'LakeNewer',
      `The lake has format ${parsed.format}; this version reads up to ${LAKE_FORMAT}.`,
      {
        where: expected.key,
        fix: 'npm install totedata@latest',
      },
    )
  }
  if (!isWhole(parsed, expected.number)) throw corrupt(expected.key, 'is not a whole manifest')
  if (parsed.name !== expected.name || parsed.number !== expected.number) {
    throw corrupt(expected.key, `belongs to chain "${parsed.name}", number ${parsed.number}`)
  }
  const sealed = sealOf(body)
  if (sealed === 'broken' || (sealed === 'none' && parsed.format >= SEALED_FORMAT)) {
    throw corrupt(expected.key, 'is not as it was written (seal)')
  }
  const manifest = {
    ...parsed,
    tables: tableEntries(Object.entries(parsed.tables)),
    sha256: sha256(body),
  }
  // It is of these bytes, and not of the next manifest's.
  delete manifest.seal
  return manifest
}

function isWhole<P extends Partial<Manifest>>(parsed: P, number: number): parsed is P & Manifest {
  const { parent, tables } = parsed
  return (
    typeof parsed.chain === 'string' &&
    isCount(parsed.batch) &&
    typeof parsed.instant === 'string' &&
    typeof tables === 'object' &&
    tables !== null &&
    Object.values(tables).every((entry) => isTableEntry(entry) && pointsBack(entry, number)) &&
    isSourceAndInputs(parsed) &&
    (parent === null ? number === 1 : parent?.number === number - 1)
  )
}

function sha256(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('hex')
}

function corrupt(key: string, problem: string): ToteError {
  return new ToteError('LakeCorrupt', `The manifest "${key}" ${problem}.`, {
    where: key,
    why: 'manifests are never changed once written, so something else touched the lake',
    fix: 'restore the file from a backup of the lake',
  })
}
