/** Durations and moments as people read them: rounded, and in the local time zone. */

/** Milliseconds as `40ms`, `6.2s`, `1m 46s`, `2h 5m`, `3d 4h`. */
export function renderDuration(ms: number): string {
  if (ms < 99.5) return `${Math.max(0, Math.round(ms))}ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return pair(seconds, 60, 'm', 's')
  const minutes = Math.round(seconds / 60)
  if (minutes < 1440) return pair(minutes, 60, 'h', 'm')
  return pair(Math.round(minutes / 60), 24, 'd', 'h')
}

/** A moment in local time: `11:05:02` today, `2026-11-19 11:05:02` on another day. */
export function renderMoment(instant: string, now: Date): string {
  const moment = new Date(instant)
  if (Number.isNaN(moment.getTime())) return instant
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()]
    .map(twoDigits)
    .join(':')
  return dayOf(moment) === dayOf(now) ? time : `${dayOf(moment)} ${time}`
}

function dayOf(moment: Date): string {
  return `${moment.getFullYear()}-${twoDigits(moment.getMonth() + 1)}-${twoDigits(moment.getDate())}`
}

function twoDigits(part: number): string {
  return String(part).padStart(2, '0')
}

function pair(amount: number, per: number, large: string, small: string): string {
  const rest = amount % per
  return rest === 0
    ? `${amount / per}${large}`
    : `${Math.floor(amount / per)}${large} ${rest}${small}`
}
