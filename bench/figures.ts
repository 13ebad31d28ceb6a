/** One line of the table: samples of what is measured, of its limit beside it, and the goal. Pure. */

export type Unit = 's' | 'ms' | 'rows/s' | 'MB'

export interface Limit {
  readonly what: string
  /** One for each sample of the figure, taken right before or after it. */
  readonly samples: readonly number[]
  /** `times`: figure ÷ limit, for times. `share`: limit ÷ figure, how much of the limit's speed is reached. */
  readonly as: 'times' | 'share'
}

export interface Goal {
  readonly of: 'figure' | 'ratio'
  readonly is: 'at most' | 'at least'
  readonly bound: number
}

export interface Figure {
  /** The same for ever, so that runs can be compared. */
  readonly name: string
  readonly what: string
  readonly unit: Unit
  readonly samples: readonly number[]
  readonly limit?: Limit
  readonly goal?: Goal
}

export interface Judged extends Figure {
  readonly median: number
  readonly least: number
  readonly greatest: number
  /** Median of the ratios of the pairs: what slows both of a pair changes nothing. */
  readonly ratio: number | null
  /** null without a goal. */
  readonly met: boolean | null
}

export function judge(figure: Figure): Judged {
  const { samples, limit, goal } = figure
  const ratio = limit === undefined ? null : medianOf(ratios(samples, limit))
  const median = medianOf(samples)
  const judged = goal?.of === 'ratio' ? ratio : median
  return {
    ...figure,
    median,
    least: Math.min(...samples),
    greatest: Math.max(...samples),
    ratio,
    met: goal === undefined || judged === null ? null : isMet(judged, goal),
  }
}

/** The middle one, or the mean of the middle two. Throws RangeError without numbers. */
export function medianOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const high = sorted[Math.floor(sorted.length / 2)]
  const low = sorted[Math.ceil(sorted.length / 2) - 1]
  if (low === undefined || high === undefined) throw new RangeError('a median of nothing')
  return (low + high) / 2
}

function ratios(samples: readonly number[], limit: Limit): number[] {
  if (limit.samples.length !== samples.length) throw new RangeError('samples without their limit')
  return samples.map((sample, index) => {
    const beside = limit.samples[index] ?? Number.NaN
    return limit.as === 'times' ? sample / beside : beside / sample
  })
}

function isMet(value: number, { is, bound }: Goal): boolean {
  return is === 'at most' ? value <= bound : value >= bound
}
