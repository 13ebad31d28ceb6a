/**
 * The one error that says everything that is wrong with a config, each problem where it stands in the
 * file when it stands there. Source lines go to the terminal only, without passwords (P10).
 */
import { ToteError, type Problem } from '../errors.ts'
import { formatPath, type Finding } from './findings.ts'
import { findPlace, type Path, type Place } from './places.ts'
import { redactText } from '../secrets/secret.ts'

export interface ConfigText {
  /** For people: `tote.config.ts`. */
  readonly name: string
  readonly text: string
}

/** NotSupportedYet when nothing is wrong but that this version cannot do it, else ConfigInvalid. */
export function configError(findings: readonly Finding[], file: ConfigText): ToteError {
  const placed = findings
    .map((finding) => ({ finding, place: placeOf(finding, file.text) }))
    .toSorted((a, b) => comparePlaces(a.place, b.place))
  const problems = placed.map(({ finding, place }): Problem => ({
    where: place === undefined ? formatPath(finding.path) : formatPlace(file, place),
    message: finding.message,
  }))
  const unset = [...new Set(findings.flatMap(({ variable }) => variable ?? []))]
  const notYet = findings.every((finding) => finding.notYet === true)
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const message = notYet
    ? `${file.name} asks for what is not there yet`
    : `${file.name} has ${count}`
  return new ToteError(notYet ? 'NotSupportedYet' : 'ConfigInvalid', message, {
    where: file.name,
    problems,
    terminal: excerpts(
      file.text,
      placed.map(({ finding, place }) => ({ message: finding.message, place })),
    ),
    ...(unset.length === 0
      ? {}
      : {
          fix: `write into .env beside ${file.name}: ${unset.map((name) => `${name}=…`).join(' ')}`,
        }),
  })
}

/**
 * One problem of the file itself, at a place in it or at none. Without a cause: what a config throws
 * may hold what it read.
 */
export function fileError(file: ConfigText, message: string, place?: Place): ToteError {
  const where = place === undefined ? file.name : formatPlace(file, place)
  const problem = { where, message: redactText(message) }
  return new ToteError('ConfigInvalid', `${file.name} has 1 problem`, {
    where,
    problems: [problem],
    terminal: excerpts(file.text, [{ message: problem.message, place }]),
  })
}

/** Each line with its messages under it, `14 │ …` and below `   │ ^^^^ message`; what has no place comes last. */
function excerpts(
  text: string,
  remarks: readonly { message: string; place: Place | undefined }[],
): string[] {
  const lines = text.split('\n')
  const width = Math.max(...remarks.map(({ place }) => String(place?.line ?? '').length))
  let shownLine = 0
  return remarks.flatMap(({ message, place }) => {
    if (place === undefined) return [`  ${message}`]
    const line = (lines[place.line - 1] ?? '').trimEnd()
    const shown = redactText(line)
    const before = redactText(line.slice(0, place.column - 1))
    // Where hiding a password moved the place, the caret is left out rather than put wrong.
    const length = Math.max(1, Math.min(place.length, shown.length - before.length))
    const caret = shown.startsWith(before)
      ? `${before.replace(/[^\t]/g, ' ')}${'^'.repeat(length)} `
      : ''
    const heading =
      place.line === shownLine ? [] : [`  ${String(place.line).padStart(width)} │ ${shown}`]
    shownLine = place.line
    return [...heading, `  ${' '.repeat(width)} │ ${caret}${message}`]
  })
}

/** A setting that is not written is shown where it should stand: at what would hold it. */
function placeOf(finding: Finding, text: string): Place | undefined {
  return findPlace(text, finding.missing === true ? finding.path.slice(0, -1) : finding.path)
}

function formatPlace(file: ConfigText, place: Place): string {
  return `${file.name}:${place.line}:${place.column}`
}

/** Where a setting stands, for people: a place in the file, or its path when it is not found there. */
export function placeName(file: ConfigText, path: Path): string {
  const place = findPlace(file.text, path)
  return place === undefined ? formatPath(path) : formatPlace(file, place)
}

/** In the order of the file; those without a place after all others. */
function comparePlaces(a: Place | undefined, b: Place | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined)
  return a.line - b.line || a.column - b.column
}
