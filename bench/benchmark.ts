/** What a benchmark is given and what it returns. */
import type { Comparison } from './equal-rows.ts'
import type { Figure } from './figures.ts'

export interface Sizes {
  /** Alternating pairs of short commands. */
  readonly pairs: number
  /** Of anything that takes seconds. */
  readonly rounds: number
  /** Years of totesys, and how many times its real number of orders. */
  readonly years: number
  readonly scales: readonly number[]
  /** Business days lived, one before each run. */
  readonly days: number
  /** Rows of the larger table. */
  readonly rows: number
  /** Its keys lie in no order; of first loads and growth. */
  readonly unordered?: boolean
}

export interface Measured {
  readonly figures: readonly Figure[]
  /** What was loaded on the way, and found equal. */
  readonly compared: readonly Comparison[]
  /** Lines that are printed below the table. */
  readonly notes?: readonly string[]
}
