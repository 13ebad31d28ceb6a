/**
 * The simulated calendar. An instant is a number of milliseconds, read as if the office's wall clock
 * were UTC: the source keeps times without a zone, so no zone of this machine or session may matter.
 */
export const DAY_MS = 86_400_000
export const HOUR_MS = 3_600_000

/** Orders arrive from 08:00 up to, not including, 19:00. */
export const OPENING_MS = 8 * HOUR_MS
export const CLOSING_MS = 19 * HOUR_MS

/** The instant at which the date `yyyy-mm-dd` begins, or undefined for anything that is not such a date. */
export function parseDate(text: string): number | undefined {
  const midnight = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  // Date.parse takes 31 February for 3 March in some engines and for nothing in others.
  return Number.isNaN(midnight) || formatDate(midnight) !== text ? undefined : midnight
}

/** `yyyy-mm-dd` */
export function formatDate(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10)
}

/** `yyyy-mm-dd hh:mm:ss.mmm`, as PostgreSQL reads and prints a timestamp(3). */
export function formatInstant(instant: number): string {
  return new Date(instant).toISOString().slice(0, 23).replace('T', ' ')
}

/** The midnight before `instant`. */
export function dateOf(instant: number): number {
  return Math.floor(instant / DAY_MS) * DAY_MS
}

/** Monday to Friday. */
export function isBusinessDay(date: number): boolean {
  const weekday = new Date(date).getUTCDay()
  return weekday !== 0 && weekday !== 6
}

export function nextBusinessDay(date: number): number {
  let next = date + DAY_MS
  while (!isBusinessDay(next)) next += DAY_MS
  return next
}

/** Every business day from `from` to `until`, both included. */
export function businessDays(from: number, until: number): number[] {
  const days: number[] = []
  for (let date = from; date <= until; date += DAY_MS) if (isBusinessDay(date)) days.push(date)
  return days
}

/** The first day of the span of so many years that ends with `until`. */
export function firstDay(until: number, years: number): number {
  const end = new Date(until + DAY_MS)
  return Date.UTC(end.getUTCFullYear() - years, end.getUTCMonth(), end.getUTCDate())
}
