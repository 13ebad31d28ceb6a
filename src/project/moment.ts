/** A batch or a moment, as people write them. Pure. */
import type { Instant } from '../types.ts'

/** A batch's number, or a moment in UTC with microseconds. */
export type AsOf = { readonly batch: number } | { readonly instant: Instant }

/** `7`, `2026-11-20`, `2026-11-20T09:30`, `2026-11-20 09:30:00.5+01:00`; UTC where no zone is named. Undefined for anything else. */
export function parseAsOf(text: string): AsOf | undefined {
  if (/^\d+$/.test(text)) {
    const batch = Number(text)
    return batch >= 1 && Number.isSafeInteger(batch) ? { batch } : undefined
  }
  const match =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i.exec(
      text.trim(),
    )
  if (match === null) return undefined
  const [, day = '', time = '00:00', second = '00', fraction = '', zone = 'Z'] = match
  const offset = /^z$/i.test(zone) ? 'Z' : zone.replace(/^([+-]\d\d):?(\d\d)?$/, (_, hours: string, minutes = '00') => `${hours}:${minutes}`) // prettier-ignore
  const moment = new Date(`${day}T${time}:${second}${offset}`)
  // 30 February would be taken for the second of March.
  if (Number.isNaN(moment.getTime()) || !isDay(day)) return undefined
  return { instant: `${moment.toISOString().slice(0, 19)}.${fraction.padEnd(6, '0')}Z` }
}

function isDay(day: string): boolean {
  const parsed = new Date(`${day}T00:00:00Z`)
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(day)
}
