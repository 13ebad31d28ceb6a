/**
 * Every way a run can end badly. The name is the same word in code, log, alert, docs,
 * `tote explain` and a state machine's `ErrorEquals`; exit code and retry come from this table.
 *
 * exit: 1 it ran and something failed, 2 usage or project, 3 something outside refused us,
 * 4 another run holds the lock, 5 a difference was found, 70 a bug of ours, 130 interrupted.
 */
export const ERRORS = {
  UsageInvalid: { exit: 2, retry: false, means: 'The command line was not understood.' },
  ConfigNotFound: {
    exit: 2,
    retry: false,
    means: 'There is no tote.config.ts where one was looked for.',
  },
  ConfigInvalid: {
    exit: 2,
    retry: false,
    means: 'tote.config.ts, or the environment it reads, has problems.',
  },
  DependencyMissing: {
    exit: 2,
    retry: false,
    means: 'An optional package is needed and not installed.',
  },
  NotSupportedYet: {
    exit: 2,
    retry: false,
    means: 'The project asks for something that this version cannot do.',
  },
  EmbeddedFailed: { exit: 3, retry: false, means: 'The embedded PostgreSQL could not be started.' },
  SourceUnreachable: {
    exit: 3,
    retry: true,
    means: 'The source did not answer, or the connection broke.',
  },
  SourceRefused: { exit: 3, retry: false, means: 'The source refused us, or a statement of ours.' },
  SourceForbidden: { exit: 3, retry: false, means: 'A right is missing on a table of the source.' },
  SourceBusy: {
    exit: 3,
    retry: true,
    means: 'Another session waited for our locks, so the batch gave way.',
  },
  LocksExhausted: {
    exit: 3,
    retry: false,
    means: 'A source or the warehouse has no room for locks on so many tables.',
  },
  SourceBehind: {
    exit: 3,
    retry: true,
    means: 'The source shows an older state than the last batch saw.',
  },
  SnapshotNotShared: {
    exit: 3,
    retry: false,
    means: 'Connections that should read one snapshot together reach different servers.',
  },
  SourceReplaced: { exit: 1, retry: false, means: 'Another database answers behind the same URL.' },
  SourceChanged: { exit: 1, retry: false, means: 'The shape of a source table changed.' },
  SourceTableUnknown: {
    exit: 2,
    retry: false,
    means: 'A table or pattern names nothing in the source.',
  },
  SourceKeyInvalid: {
    exit: 1,
    retry: false,
    means: 'A key that the config gives does not tell the rows of its table apart.',
  },
  TableNotCarried: {
    exit: 2,
    retry: false,
    means: 'A table of the source has a shape that cannot be carried as it is.',
  },
  RowTooLarge: {
    exit: 1,
    retry: false,
    means: 'A row, or the rows beside it, are too large for the memory of a run.',
  },
  SeedInvalid: { exit: 2, retry: false, means: 'A seed file cannot be used as it is.' },
  ValueNotCarried: {
    exit: 1,
    retry: false,
    means: 'A value of the source cannot be carried exactly.',
  },
  ShrinkRefused: {
    exit: 1,
    retry: false,
    means: 'A batch would delete more of a table than the limit allows.',
  },
  LakeConflict: { exit: 1, retry: true, means: 'Another run committed first.' },
  LakeCorrupt: {
    exit: 5,
    retry: false,
    means: 'A file of the lake is not what its manifest says, or cannot be decoded.',
  },
  LakeMismatch: {
    exit: 2,
    retry: false,
    means: 'The lake belongs to another project, or to other sources, than the config names.',
  },
  LakeNewer: { exit: 2, retry: false, means: 'The lake was written by a newer version.' },
  LakeUnreachable: { exit: 3, retry: true, means: 'The lake could not be read or written.' },
  ModelInvalid: { exit: 2, retry: false, means: 'A model cannot be used as it is written.' },
  ModelNotDriven: {
    exit: 2,
    retry: false,
    means: 'A model says that it is driven by a table, but does not work through it row by row.',
  },
  ModelNotDeterministic: {
    exit: 5,
    retry: false,
    means: 'A model yields other values when the same rows come in another order.',
  },
  TestInvalid: {
    exit: 2,
    retry: false,
    means: 'A test of a model cannot be used as it is written.',
  },
  ModelCycle: { exit: 2, retry: false, means: 'Models refer to each other in a circle.' },
  ModelEdited: {
    exit: 2,
    retry: false,
    means: 'A model was edited after its versioned table was begun.',
  },
  ModelFailed: { exit: 1, retry: false, means: 'A model failed while it was evaluated.' },
  CheckFailed: { exit: 1, retry: false, means: 'A check with severity error found rows.' },
  WarehouseUnreachable: {
    exit: 3,
    retry: true,
    means: 'The warehouse did not answer, or the connection broke.',
  },
  WarehouseRefused: {
    exit: 3,
    retry: false,
    means: 'The warehouse refused us, or a statement of ours.',
  },
  WarehouseShapeMismatch: {
    exit: 1,
    retry: false,
    means: 'A warehouse table has another shape than its model.',
  },
  WarehouseDependents: {
    exit: 1,
    retry: false,
    means:
      'Something in the warehouse hangs on a table in a way that a change of the table would break.',
  },
  LedgerMismatch: {
    exit: 1,
    retry: false,
    means: "The warehouse's ledger does not belong to this lake.",
  },
  DifferenceFound: {
    exit: 5,
    retry: false,
    means: 'Source, lake and warehouse hold other rows at one instant.',
  },
  CountMismatch: { exit: 5, retry: false, means: 'Counts that must be equal differ.' },
  QueryInvalid: { exit: 2, retry: false, means: 'A query was not understood, or is not allowed.' },
  RunLocked: { exit: 4, retry: true, means: 'Another run of this project is under way.' },
  RunCancelled: { exit: 130, retry: true, means: 'The run was interrupted; nothing is half done.' },
  ProjectClosed: {
    exit: 2,
    retry: false,
    means: 'A program called a project that it had closed.',
  },
  RunTimedOut: { exit: 1, retry: true, means: 'The run took longer than its timeout.' },
  Bug: { exit: 70, retry: false, means: 'A fault of Tote itself.' },
} as const satisfies Record<string, { exit: number; retry: boolean; means: string }>

export type ErrorName = keyof typeof ERRORS

/** One of several problems that were found together. */
export interface Problem {
  readonly where: string
  readonly message: string
}

export interface ErrorFacts {
  /** File and line, table, column, or address. */
  readonly where?: string | undefined
  readonly why?: string | undefined
  /** A command or a config line that can be pasted. */
  readonly fix?: string | undefined
  readonly problems?: readonly Problem[] | undefined
  /** Names and counts only: no cell value, no secret (P10). */
  readonly details?: Readonly<Record<string, string | number | boolean | null>> | undefined
  /** SQLSTATE of the server that refused. */
  readonly sqlstate?: string | undefined
  /** For a person's own terminal: source lines with a caret, keys of failing rows. Never serialized. */
  readonly terminal?: readonly string[] | undefined
  readonly cause?: unknown
}

/**
 * The one error class. `name` is a key of ERRORS; `message` says what happened, to what, and what
 * was seen or expected, without any cell value or secret.
 */
export class ToteError extends Error {
  override readonly name: ErrorName
  readonly facts: ErrorFacts

  constructor(name: ErrorName, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.name = name
    this.facts = facts
  }

  get exit(): number {
    return ERRORS[this.name].exit
  }

  get retry(): boolean {
    return ERRORS[this.name].retry
  }

  /** What may be stored or sent: everything but `terminal` and the cause. */
  toJSON(): ErrorJson {
    const { where, why, fix, problems, details, sqlstate } = this.facts
    return {
      name: this.name,
      message: this.message,
      retry: this.retry,
      ...(where === undefined ? {} : { where }),
      ...(why === undefined ? {} : { why }),
      ...(fix === undefined ? {} : { fix }),
      ...(problems === undefined ? {} : { problems }),
      ...(details === undefined ? {} : { details }),
      ...(sqlstate === undefined ? {} : { sqlstate }),
    }
  }
}

export interface ErrorJson {
  readonly name: ErrorName
  readonly message: string
  readonly retry: boolean
  readonly where?: string
  readonly why?: string
  readonly fix?: string
  readonly problems?: readonly Problem[]
  readonly details?: Readonly<Record<string, string | number | boolean | null>>
  readonly sqlstate?: string
}

/**
 * Any thrown value as a ToteError; what is not ours is a bug of ours. A foreign message may quote a
 * value, so only a terminal sees it (P10).
 */
export function toToteError(thrown: unknown): ToteError {
  if (thrown instanceof ToteError) return thrown
  const name = thrown instanceof Error ? thrown.name : typeof thrown
  if (name === 'AbortError')
    return new ToteError('RunCancelled', 'The run was interrupted; nothing is half done.', {
      cause: thrown,
    })
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new ToteError('Bug', `Something failed that should not (${name}).`, {
    terminal: [message],
    cause: thrown,
  })
}

/** A word of a command, as a POSIX shell reads it back. */
export function quoteWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}

/** The nearest of `names` to a mistyped one, or undefined when none is near. Levenshtein distance. */
export function nearestName(typed: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(typed.length / 3)) + 1
  for (const name of names) {
    const distance = editDistance(typed.toLowerCase(), name.toLowerCase())
    if (distance < bestDistance) {
      best = name
      bestDistance = distance
    }
  }
  return best
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, substitution))
    }
    previous = row
  }
  return previous[b.length] ?? 0
}
