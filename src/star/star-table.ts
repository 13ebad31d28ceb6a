/** A table of the star as its model wants it in the warehouse. */
import type { Column, ModelKind, Reference } from '../types.ts'

export interface StarTable {
  readonly name: string
  readonly kind: ModelKind
  /** Dimensions: every version is kept, as of a fact. */
  readonly history?: boolean
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly recordId: string | null
  /** Foreign keys to other star tables, on their keys. */
  readonly references: readonly Reference[]
  readonly comment: string | null
}
