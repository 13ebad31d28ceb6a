/** Another tool that carries a table from one PostgreSQL to another: the commands that its documentation gives for it. */
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

/** One table to carry. */
export interface Errand {
  readonly source: string
  readonly warehouse: string
  readonly table: string
  readonly key: string
  /** The column that says when a row was last changed. */
  readonly cursor: string
  /** All rows again, or those that the cursor shows to be new. */
  readonly mode: 'whole' | 'incremental'
  /** A folder for what the tool remembers. */
  readonly state: string
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  /** Besides this process' environment. URLs go here: arguments are seen by everybody. */
  readonly env: Readonly<Record<string, string>>
}

/** What it needs: Python packages, in an environment of their own. */
export type Package = 'dlt' | 'ingestr' | 'sling'

export const REQUIREMENTS: Readonly<Record<Package, readonly string[]>> = {
  dlt: [
    'dlt[postgres]==1.31.0',
    'sqlalchemy==2.0.58',
    'connectorx==0.4.6',
    'pyarrow==26.0.1',
    'pandas==3.1.1',
  ],
  ingestr: ['ingestr==0.15.9'],
  // The newest whose program comes with the package, and is not fetched from elsewhere at its first start.
  sling: ['sling-linux-amd64==1.4.11'],
}

export interface Rival {
  readonly name: string
  readonly package: Package
  readonly version: string
  readonly settings: string
  /** `folder` is the Python environment. */
  command(folder: string, errand: Errand): Command
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

export const RIVALS: readonly Rival[] = [
  dlt('default', "its defaults; by cursor, 'merge'"),
  dlt('best', "ConnectorX backend, CSV to COPY; by cursor, 'merge'"),
  {
    name: 'ingestr',
    package: 'ingestr',
    version: '0.15.9',
    settings: 'its defaults; by cursor, strategy merge',
    command: (folder, { source, warehouse, table, key, cursor, mode }) => ({
      file: join(folder, 'bin', 'ingestr'),
      args: [
        'ingest',
        '--yes',
        '--progress=log',
        `--primary-key=${key}`,
        `--source-table=public.${table}`,
        `--dest-table=public.${table}`,
        ...(mode === 'whole'
          ? []
          : ['--incremental-strategy=merge', `--incremental-key=${cursor}`]),
      ],
      env: { SOURCE_URI: withoutTls(source), DESTINATION_URI: withoutTls(warehouse) },
    }),
  },
  {
    name: 'Sling',
    package: 'sling',
    version: '1.4.11',
    settings: 'its defaults; by cursor, mode incremental with a key',
    command: (folder, { source, warehouse, table, key, cursor, mode, state }) => ({
      file: join(folder, 'bin', 'sling'),
      args: [
        'run',
        '--src-conn=RIVAL_SOURCE',
        `--src-stream=public.${table}`,
        '--tgt-conn=RIVAL_WAREHOUSE',
        `--tgt-object=public.${table}`,
        `--primary-key=${key}`,
        ...(mode === 'whole'
          ? ['--mode=full-refresh']
          : ['--mode=incremental', `--update-key=${cursor}`]),
      ],
      env: {
        RIVAL_SOURCE: withoutTls(source),
        RIVAL_WAREHOUSE: withoutTls(warehouse),
        SLING_HOME_DIR: state,
      },
    }),
  },
  {
    name: 'pandas script',
    package: 'dlt',
    version: '3.1.1',
    settings: 'read_sql, to_sql; by cursor, rows newer than the newest, appended',
    command: (folder, { source, warehouse, table, cursor, mode }) => ({
      file: join(folder, 'bin', 'python'),
      args: [here('pandas_load.py'), mode, table, cursor],
      env: { SOURCE_URL: forPython(source), WAREHOUSE_URL: forPython(warehouse) },
    }),
  },
]

function dlt(settings: 'default' | 'best', described: string): Rival {
  return {
    name: `dlt, ${settings}`,
    package: 'dlt',
    version: '1.31.0',
    settings: described,
    command: (folder, { source, warehouse, table, key, cursor, mode, state }) => ({
      file: join(folder, 'bin', 'python'),
      args: [here('dlt_load.py'), settings, mode, table, key, cursor],
      env: {
        SOURCE_URL: forPython(source),
        WAREHOUSE_URL: forPython(warehouse),
        STATE: state,
        RUNTIME__DLTHUB_TELEMETRY: 'false',
        RUNTIME__LOG_LEVEL: 'ERROR',
      },
    }),
  }
}

/** SQLAlchemy knows one of the two names. */
function forPython(url: string): string {
  return url.replace(/^postgres:/, 'postgresql:')
}

/** Go's driver asks for TLS unless it is told not to; these are databases of this machine. */
function withoutTls(url: string): string {
  const plain = new URL(url)
  plain.searchParams.set('sslmode', 'disable')
  return plain.href.replace(/^postgresql:/, 'postgres:')
}
