/**
 * The draft of a first load: which parts of large tables are in the lake already, each noted when it was
 * finished, so that a load that was killed goes on with the others. Notes lie beside the manifests, under
 * the number of the manifest that they are for, and nobody reads them once that is there. A note counts
 * only for the same source in the same shape, and says nothing of the rows now: resume.ts asks for those.
 */
import { newestNumber } from '../lake/chain.ts'
import { formatDraftKey } from '../lake/keys.ts'
import { areColumns, isDataFile, type CommittedManifest, type DataFile } from '../lake/manifest.ts'
import type { Zone } from '../lake/zone.ts'
import { sealJson, sealOf } from '../storage/sealed.ts'
import type { SourceIdentity, SourcePart, SourceSnapshot, SourceTable } from '../sources/source.ts'
import type { Column } from '../types.ts'

export interface DraftFile {
  readonly data: DataFile
  /** The pairs of its rows. */
  readonly pairs: DataFile
}

export interface DraftPart {
  readonly columns: readonly Column[]
  readonly files: readonly DraftFile[]
}

export interface Draft {
  /** The manifest that it is for. */
  readonly manifest: number
  /** What an earlier run has noted of the part, if it may still be used. */
  find(table: SourceTable, part: SourcePart): DraftPart | undefined
  /** Notes a finished part, durable on return; the newest note of a part counts. */
  note(table: SourceTable, part: SourcePart, finished: DraftPart): Promise<void>
}

const FORMAT = 4

interface Note extends DraftPart {
  readonly format: typeof FORMAT
  readonly identity: SourceIdentity
  readonly position: string
  readonly parent: string | null
  readonly batch: number
  readonly table: string
  readonly shape: string
  readonly key: readonly string[]
  readonly part: string
}

export interface DraftOptions {
  readonly zone: Zone
  readonly chain: string
  readonly parent: CommittedManifest | null
  readonly batch: number
}

/** Opens the draft of the manifest after `parent`; null where the source's pairs cannot be compared. */
export async function openDraft(
  { zone: { store }, chain, parent, batch }: DraftOptions,
  snapshot: Pick<SourceSnapshot, 'identity' | 'position' | 'comparable'>,
): Promise<Draft | null> {
  const { identity, position, comparable } = snapshot
  if (position === null || comparable === undefined) return null
  const manifest = (parent?.number ?? 0) + 1
  const keyOf = (n: number): string => formatDraftKey(chain, manifest, n)
  let last = await newestNumber(async (n) => store.has(keyOf(n)), 0)
  const notes = new Map<string, Note>()
  for (let n = 1; n <= last; n++) {
    const note = parseNote(await store.read(keyOf(n)))
    const usable =
      note !== undefined &&
      JSON.stringify(note.identity) === JSON.stringify(identity) &&
      note.parent === (parent?.sha256 ?? null) &&
      note.batch === batch &&
      comparable(note.position)
    if (usable) notes.set(JSON.stringify([note.table, note.part]), note)
  }
  return {
    manifest,
    find: (table, part) => {
      const note = notes.get(JSON.stringify([table.name, part.id]))
      const same = note?.shape === table.shape && note.key.join() === table.key.join()
      return same ? note : undefined
    },
    note: async ({ name, shape, key }, part, { columns, files }) => {
      const note: Note = {
        format: FORMAT,
        identity,
        position,
        parent: parent?.sha256 ?? null,
        batch,
        table: name,
        shape,
        key,
        part: part.id,
        columns,
        files,
      }
      const body = sealJson(note)
      // Another run may note parts of the same load; numbers only keep the notes apart.
      do last += 1
      while ((await store.create(keyOf(last), body)) === 'exists')
    },
  }
}

/** Whatever is not a note of ours, as it was written, is no part that was finished. */
function parseNote(body: Buffer | undefined): Note | undefined {
  if (body === undefined || sealOf(body) !== 'sound') return undefined
  try {
    const note = JSON.parse(body.toString('utf8')) as Partial<Note> | null
    return isNote(note) ? note : undefined
  } catch {
    return undefined
  }
}

function isNote(note: Partial<Note> | null): note is Note {
  return (
    note?.format === FORMAT &&
    typeof note.position === 'string' &&
    Array.isArray(note.key) &&
    areColumns(note.columns) &&
    Array.isArray(note.files) &&
    note.files.every(
      (file: Partial<DraftFile> | null) => isDataFile(file?.data) && isDataFile(file.pairs),
    )
  )
}
