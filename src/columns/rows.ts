/**
 * Rows of a DuckDB relation as column vectors, handed to whoever encodes them without ever
 * becoming JavaScript objects.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'

export interface RowReader {
  /**
   * Streams the rows that `select` yields, given the name of the relation to select from.
   * The relation's columns are as its giver documents. `place` is a further one, where it is known
   * without sorting: each row's place in the order of the key, from 0.
   */
  chunks(select: (relation: string, place: string | null) => string): AsyncIterable<DuckDBDataChunk>
}
