/**
 * Rows of a DuckDB relation as column vectors, handed to whoever encodes them without ever
 * becoming JavaScript objects.
 */
import type { DuckDBDataChunk } from '@duckdb/node-api'

export interface RowReader {
  /**
   * Streams the rows that `select` yields, given the name of the relation to select from.
   * The relation's columns are as its giver documents.
   */
  chunks(select: (relation: string) => string): AsyncIterable<DuckDBDataChunk>
}
