/** How numbers are shown to people: grouped, rounded where only the size matters, never localized. */

/** `1234567` as `1,234,567`. */
export function formatCount(count: number | bigint): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A count that is dull when it is zero: `–`. */
export function formatChange(count: number): string {
  return count === 0 ? '–' : formatCount(count)
}

/** `1 row`, `1,204 rows`. */
export function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** Bytes in decimal units: `812 B`, `3.1 MB`. */
export function formatBytes(bytes: number): string {
  return `${scaled(bytes, ['B', 'kB', 'MB', 'GB', 'TB'], ' ')}`
}

/** Rows a second, as `48k rows/s`. */
export function formatRate(rowsPerSecond: number): string {
  return `${scaled(rowsPerSecond, ['', 'k', 'M', 'G'], '')} rows/s`
}

function scaled(amount: number, units: readonly string[], gap: string): string {
  let rest = amount
  let step = 0
  // 999.5 would be printed as 1000.
  while (rest >= 999.5 && step < units.length - 1) {
    rest /= 1000
    step += 1
  }
  const digits = step > 0 && rest < 9.95 ? rest.toFixed(1) : String(Math.round(rest))
  return `${digits}${gap}${units[step] ?? ''}`
}
