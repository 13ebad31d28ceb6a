/**
 * The points that a pipeline passes: after an outage, ingestion batches are taken one by one, in the
 * order of their instants, so that history has every version that extraction saw.
 */
import type { CommittedManifest, InputMark } from '../lake/manifest.ts'
import type { Zone } from '../lake/zone.ts'
import type { Instant } from '../types.ts'

/** One ingestion batch of every source. */
export interface Point {
  readonly batches: Readonly<Record<string, number>>
  /** The latest instant of its batches. */
  readonly instant: Instant
}

export interface BatchMark {
  readonly source: string
  readonly batch: number
  readonly instant: Instant
}

/**
 * The points after `done` (null before the first), each one batch of one source further than the last.
 * The first of all needs a batch of every source. Pure.
 */
export function pointsAfter(
  done: Readonly<Record<string, number>> | null,
  sources: readonly string[],
  marks: readonly BatchMark[],
): Point[] {
  // No two batches of a source have one instant.
  const ordered = marks.toSorted((a, b) =>
    a.instant === b.instant
      ? sources.indexOf(a.source) - sources.indexOf(b.source)
      : a.instant < b.instant
        ? -1
        : 1,
  )
  const current: Record<string, number> = { ...done }
  const points: Point[] = []
  for (const mark of ordered) {
    if (mark.batch <= (current[mark.source] ?? 0)) continue
    current[mark.source] = mark.batch
    if (sources.every((source) => current[source] !== undefined))
      points.push({ batches: { ...current }, instant: mark.instant })
  }
  return points
}

/** The batches of a chain after `after`, with their instants, oldest first. Manifests are not kept: there may be any number. */
export async function batchMarks(
  zone: Zone,
  source: string,
  newest: CommittedManifest,
  after: number,
): Promise<(BatchMark & InputMark)[]> {
  const found: (BatchMark & InputMark)[] = []
  for await (const { chain, batch, number, sha256, instant } of batchesBack(zone, newest, after))
    found.push({ source, chain, batch, manifest: number, sha256, instant })
  return found.reverse()
}

/** The manifests that added the batches after `after`, oldest first. */
export async function batchManifests(
  zone: Zone,
  newest: CommittedManifest,
  after: number,
): Promise<CommittedManifest[]> {
  const found: CommittedManifest[] = []
  for await (const manifest of batchesBack(zone, newest, after)) found.push(manifest)
  return found.reverse()
}

async function* batchesBack(
  zone: Zone,
  newest: CommittedManifest,
  after: number,
): AsyncIterable<CommittedManifest> {
  for (let manifest = newest; manifest.batch > after;) {
    const parent =
      manifest.parent === null ? null : await zone.chain(newest.name).read(manifest.parent.number)
    if (parent === null || parent.batch < manifest.batch) yield manifest
    if (parent === null) return
    manifest = parent
  }
}
