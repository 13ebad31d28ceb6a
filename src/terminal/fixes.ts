/** What to do about each error, where it says nothing nearer by itself: for `tote explain` and docs/errors.md. */
import type { ErrorName } from '../errors.ts'

export const FIXES: Readonly<Record<ErrorName, string>> = {
  UsageInvalid: 'Add --help to the command.',
  ConfigNotFound: 'Go to the folder of the project, or name it with -C; tote init writes one.',
  ConfigInvalid: 'Correct the lines that it shows; all problems are told at once.',
  DependencyMissing: 'Install the package that it names.',
  NotSupportedYet: 'Leave the setting that it names out.',
  EmbeddedFailed:
    'Read server.log in the folder that it names; or give a database of your own as the URL.',
  SourceUnreachable:
    'See whether the server answers at that address; the next run carries everything since.',
  SourceRefused: "Look at the URL's user, password and database, or at what the server said.",
  SourceForbidden: 'Grant what it names; tote roles --source NAME prints the SQL.',
  SourceBusy: 'Nothing: the next run carries what this one left.',
  LocksExhausted:
    'Raise max_locks_per_transaction at the server, or leave tables out (docs/operations.md).',
  SourceBehind:
    'Wait for the standby; if the server was put back on purpose: tote run --accept-source.',
  SnapshotNotShared: 'Name one server in the URL, or set readers to 1.',
  SourceReplaced: 'If it is meant: tote run --accept-source compares everything in full.',
  SourceChanged:
    'See docs/schema-changes.md; if the change is right: tote run --accept-change TABLE.',
  SourceTableUnknown: 'Correct the name, or grant SELECT on the table and USAGE on its schema.',
  SourceKeyInvalid: 'Give columns as the key that are unique, and never NULL.',
  TableNotCarried:
    'Leave the columns or the table out that it names, or carry a view of it (docs/tables.md).',
  RowTooLarge: 'Leave the large column out (columns.exclude), or give more memory.',
  SeedInvalid: 'Correct the file at the line that it names.',
  ValueNotCarried: 'Correct the value at the source, or leave its column out (columns.exclude).',
  ShrinkRefused: 'Look at the table; if it is right: tote run --accept-shrink TABLE.',
  LakeConflict: 'Nothing: the next run goes on from what the other committed.',
  LakeCorrupt: 'Restore what it names from a copy of the lake.',
  LakeMismatch: 'Set the name back; or begin anew, with folders and a warehouse.schema of its own.',
  LakeNewer: 'Use that version, or a newer one.',
  LakeUnreachable: 'See whether the folder is there, may be written and has room.',
  ModelInvalid: 'Correct the lines that it names; tote check looks again.',
  ModelNotDriven:
    'Write the model as it says, or take the line "driven by" out: it is then evaluated in full.',
  ModelNotDeterministic:
    'Give what hangs on the order of rows a full one, and sum decimals, not floats.',
  TestInvalid: 'Correct the lines that it names (docs/models.md).',
  ModelCycle: 'Let one of them read the tables of the source instead.',
  ModelEdited: 'Run without --forward: the model is restated.',
  ModelFailed:
    'Correct the query, or the rows at the source; the warehouse stays at the last good batch.',
  CheckFailed:
    'Correct the rows at the source, or the model; the warehouse stays at the last good batch.',
  WarehouseUnreachable:
    'See whether the server answers at that address; the next run loads what is missing.',
  WarehouseRefused:
    'Grant what it names (tote roles --warehouse prints the SQL), or widen the type that it names.',
  WarehouseShapeMismatch:
    'Alter the table as it says; or drop it, and have it made anew: tote rebuild.',
  WarehouseDependents: 'Drop or change what it names, or keep what that needs in the model.',
  LedgerMismatch:
    'Restore the one that is wrong; or tote rebuild, with --accept-lake if the lake is another.',
  DifferenceFound: 'Make it good: tote verify --repair.',
  CountMismatch: 'See which rows: tote verify; make it good: tote verify --repair.',
  QueryInvalid: 'Ask one select; tote list has the names.',
  RunLocked: 'Wait for the other run.',
  RunCancelled: 'Nothing: the next run makes it good.',
  ProjectClosed: 'Open the project again.',
  RunTimedOut: 'Run again, with a longer --timeout.',
  Bug: 'Report it, with the output of -vv.',
}
