/** What DuckDB's messages mean, where they are about a disk, a file or memory and not about a query. */
import { ToteError } from '../errors.ts'

/** A disk that refuses is nobody's query: DuckDB's message about one holds a path and a reason. */
export function diskFailure(message: string): ToteError | undefined {
  if (BEYOND_END.test(message) && fileNamed(message) !== undefined) return undefined
  const full = /No space left on device|max_temp_directory_size/.test(message)
  const refused = /^IO Error: (?:Could not|Cannot) [^"]*"([^"]*)": (.*)$/m.exec(message)
  if (!full && refused === null) return undefined
  const path = refused?.[1]
  const what = path === undefined ? 'Temporary files' : `The file "${path}"`
  return new ToteError(
    'LakeUnreachable',
    `${what} could not be read or written (${full ? 'no space left' : refused?.[2]}).`,
    {
      where: path,
      fix: full ? 'free some disk space, then run again' : 'check the folder and its rights',
    },
  )
}

/** The file of the lake that SQL or a message names. */
export function fileNamed(text: string): string | undefined {
  return text.match(LAKE_FILE)?.[0]
}

const LAKE_FILE = /\/[^'"\n]*?\.(?:parquet|csv\.gz|jsonl\.gz)\b/
/** A file says of itself that it goes on where it does not. */
const BEYOND_END = /attempted to read \d+ bytes/
/** How DuckDB begins what it says of a file that it cannot decode; further on there may be values, which say anything. */
const UNDECODABLE =
  /^Invalid Input Error: (?:File '[^']*' too small|No magic bytes|Failed to read file|(?:Malformed JSON|JSON transform error) in file|CSV Error on Line)/
/** The same where it may not name the file. */
const WITHOUT_PATH = /^(?:Invalid Error: |IO Error: [^"\n]*\bgzip\b)/i

/**
 * A file of the lake whose bytes its manifest vouches for, since that is looked at first, and which is no file of its
 * format: whoever wrote it, or vouched for it, was at fault. DuckDB may not say which one it was reading.
 */
export function corruptFile(message: string, last: string | undefined): ToteError | undefined {
  const mayNameNone = WITHOUT_PATH.test(message)
  if (!mayNameNone && !UNDECODABLE.test(message) && !BEYOND_END.test(message)) return undefined
  const path = fileNamed(message)
  const where = path ?? (mayNameNone ? last?.replace(DAY_AND_FILE, '') : undefined)
  if (where === undefined) return undefined
  const what = path === undefined ? `A lake file in "${where}"` : `The lake file "${where}"`
  return new ToteError('LakeCorrupt', `${what} cannot be decoded.`, {
    where,
    why: 'it is what its manifest says (sha256), so it was broken when it was written, or its manifest is not ours',
    fix: 'restore the lake from a backup, or begin a new one from the source',
  })
}

/** `/yyyy/mm/dd/…` of a key. */
const DAY_AND_FILE = /(\/\d+){3}\/[^/]*$/

/** DuckDB works on some two thousand rows at once, whatever their size, and needs them all in memory. */
export function memoryFailure(message: string): ToteError | undefined {
  if (!message.startsWith('Out of Memory Error')) return undefined
  return new ToteError('RowTooLarge', 'Rows are too large for the memory that DuckDB may use.', {
    why: 'it holds about 2,000 rows at once; docs/tables.md says how large they may be',
    fix: "memory: '2GB' in tote.config.ts, or leave the large column out: table: { …: { columns: { exclude: […] } } }",
    terminal: message.split('\n').slice(0, 1),
  })
}

/** The same failure, with the place where the rows were; anything else as it is. */
export function placeFailure(error: unknown, where: string): unknown {
  if (!(error instanceof ToteError) || error.name !== 'RowTooLarge') return error
  const message = `Rows of ${where} are too large for the memory that DuckDB may use.`
  return new ToteError('RowTooLarge', message, { ...error.facts, where })
}
