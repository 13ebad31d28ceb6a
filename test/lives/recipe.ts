/** How a model of a life can be written. */

export type Kind = 'fact' | 'dimension' | 'history' | 'table'

export interface Column {
  readonly name: string
  readonly duck: string
  readonly pg: string
  readonly nullable?: boolean
  readonly type?: string
  /** A text of the value, where a number or a moment would lose how it is spelled: of the warehouse's column `t.name`, and of the lake's. */
  readonly shown?: { readonly star: string; readonly lake: string }
  /** Of a text of the value, one for all that are the same key to the lake, and to the warehouse. */
  readonly same?: {
    readonly lake: (text: string) => string
    readonly star: (text: string) => string
  }
}

export interface Draft {
  readonly key: readonly string[]
  readonly columns: readonly Column[]
  readonly duckFrom: string
  readonly pgFrom: string
  readonly reads?: readonly string[]
  readonly references?: readonly { readonly column: string; readonly model: string }[]
  readonly header?: readonly string[]
  readonly recordIds?: string | undefined
  readonly whole?: boolean
}

type Parts = Readonly<Record<string, number>>

/** How many ways each part can be written, and what they come to. */
export interface Recipe {
  readonly kinds: readonly Kind[]
  readonly parts: Readonly<Record<string, number>>
  draft(parts: Parts, name: string): Draft
}
