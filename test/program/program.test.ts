import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ToteError } from '../../src/errors.ts'
import { interruption } from '../../src/cli/surface.ts'
import { play } from '../support/surface.ts'

const examples = fileURLToPath(new URL('../../examples', import.meta.url))

describe('help', () => {
  test('tote alone, outside a project, is one screen that says how to begin', async () => {
    const { exit, stdout, stderr } = await play([])
    expect({ exit, stderr }).toEqual({ exit: 0, stderr: '' })
    expect(stdout).toMatchInlineSnapshot(`
      "Usage: tote COMMAND [options]

      Carries operational data into a warehouse: nothing lost, nothing doubled.

      Options:
        -V, --version             the version
        -C, --cwd <dir>           the project, when it is not here
        -c, --config <file>       another file than tote.config.ts (env: TOTE_CONFIG)
        -e, --env <name>          an environment of the project (env: TOTE_ENV)
        --json                    the answer as JSON on stdout
        -q, --quiet               only the answer, warnings and errors
        -v, --verbose             more; -vv with stacks
        --no-color                no colour, as with NO_COLOR
        -h, --help                help; also after a command

      Commands:
        init [options] [dir]      write a project from a database's catalogue
        run [options]             carry one batch from the sources to the warehouse
        verify [options] [of...]  a batch, then all sides of it compared row by row
        rebuild [options]         make the warehouse anew from the lake alone
        check [options]           look for mistakes before a run
        test [model]              run the tests of models: given rows, expected rows
        status [options]          how fresh every table is, and how the last runs went
        list [options]            sources, tables and models
        show [options] <name>     one table or model: columns, lineage, SQL, rows
        query [options] <sql>     ask the lake or the warehouse, read-only
        roles [options]           SQL for the roles that the databases need
        runs [options] [run]      the last runs, or one in full
        logs [options] [run]      what a run said
        explain [name]            what the name of an error means
        completion <shell>        the script that completes words in a shell

      To begin:
        tote init shop --source env:DATABASE_URL   a project from any PostgreSQL, in ./shop
        tote -C shop check --live                  can we reach everything?
        tote -C shop run                           carry the first batch
      "
    `)
    expect(stdout.trimEnd().split('\n').length).toBeLessThanOrEqual(36)
  })

  test('with a project named, the help ends with three examples', async () => {
    const { stdout } = await play(['-C', examples, '--help'])
    expect(stdout.slice(stdout.indexOf('Examples'))).toMatchInlineSnapshot(`
      "Examples:
        tote run                                    one batch: extract, transform, load
        tote status                                 how fresh every table is
        tote query "select count(*) from dim_date"  ask the lake; --warehouse asks the warehouse
      "
    `)
  })

  test('a command has help of its own', async () => {
    const { exit, stdout } = await play(['run', '--help'])
    expect(exit).toBe(0)
    expect(stdout).toMatchInlineSnapshot(`
      "Usage: tote run [options]

      carry one batch from the sources to the warehouse

      Options:
        --only <stage>              extract, transform or load
        --full-refresh              compare every table in full; history is kept
        --accept-shrink <table...>  let a batch delete most of these tables, once
        --accept-change <table...>  follow what happened to the shape of these tables,
                                    once
        --accept-source             take the database that answers now for the source,
                                    also in an older state
        --forward <model...>        let edited models keep their old versions and
                                    begin now
        --dry-run                   say what a run would do; nothing is written
        -s, --select <model...>     of a dry run: only these models, with * in names
        --exclude <model...>        of a dry run: all models but these
        -x, --fail-fast             end with the first failure
        --no-wait                   exit 4 when another run is under way
        --timeout <duration>        stop after 30s, 5m, 2h
        --log-format <format>       commentary as pretty lines or JSON (default:
                                    "pretty", env: TOTE_LOG_FORMAT)
        -h, --help                  help; also after a command

      Global Options:
        -V, --version               the version
        -C, --cwd <dir>             the project, when it is not here
        -c, --config <file>         another file than tote.config.ts (env:
                                    TOTE_CONFIG)
        -e, --env <name>            an environment of the project (env: TOTE_ENV)
        --json                      the answer as JSON on stdout
        -q, --quiet                 only the answer, warnings and errors
        -v, --verbose               more; -vv with stacks
        --no-color                  no colour, as with NO_COLOR
      "
    `)
  })

  test('the version is that of the package', async () => {
    const manifest = JSON.parse(
      readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
    )
    expect(await play(['-V'])).toEqual({ exit: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })
})

describe('what is not understood ends with exit 2 and the nearest word', () => {
  test.each([
    [['rnu'], "Unknown command 'rnu'. Did you mean run?"],
    [['run', '--onyl', 'load'], "Unknown option '--onyl'. Did you mean --only?"],
    [['run', '--only', 'laod'], 'Did you mean load?'],
    [['run', 'staff'], 'Too many arguments'],
    [['run', '--timeout', 'soon'], 'A duration is written like 30s, 5m or 2h.'],
    [['run', '--timeout', '0s'], 'A duration is written like'],
    [['run', '--timeout', '30d'], 'The longest is 24d.'],
    [['query'], "Missing required argument 'sql'"],
    [['query', 'select 1', '--limit', '0'], 'A limit is a whole number from 1.'],
    [['query', 'select 1', '--csv', '--json'], 'either --csv or --json'],
    [['query', ' '], 'The query is empty'],
    [['-C', 'no/such/folder', 'status'], 'There is no folder "no/such/folder"'],
    [['explain', 'SourceUnreachble'], 'Did you mean SourceUnreachable?'],
  ])('%j', async (argv, message) => {
    const { exit, stdout, stderr } = await play(argv)
    expect(exit).toBe(2)
    expect(stdout + stderr).toContain('UsageInvalid')
    expect(stdout + stderr).toContain(message)
    expect(stderr).not.toContain('    at ')
  })

  test('with --json it is an object on stdout', async () => {
    const { exit, stdout, stderr } = await play(['--json', 'rnu'])
    expect({ exit, stderr }).toEqual({ exit: 2, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({
      version: 1,
      error: { name: 'UsageInvalid', retry: false },
      warnings: [],
    })
  })
})

describe('what a command throws', () => {
  const failing = (error: unknown) => ({
    pipeline: { openProject: async () => Promise.reject(error) },
  })

  test('has the exit code of its name', async () => {
    expect((await play(['status'], failing(new ToteError('RunLocked', 'busy')))).exit).toBe(4)
    expect((await play(['status'], failing(new ToteError('SourceUnreachable', 'gone')))).exit).toBe(
      3,
    )
  })

  test('outside a project the way to begin follows', async () => {
    const { exit, stderr } = await play(
      ['run'],
      failing(new ToteError('ConfigNotFound', 'There is no tote.config.ts in /')),
    )
    expect(exit).toBe(2)
    expect(stderr).toMatchInlineSnapshot(`
      "✖ ConfigNotFound  There is no tote.config.ts in /

        more    tote explain ConfigNotFound

      To begin:
        tote init shop --source env:DATABASE_URL   a project from any PostgreSQL, in ./shop
        tote -C shop check --live                  can we reach everything?
        tote -C shop run                           carry the first batch
      "
    `)
  })

  test('what is not ours is a bug: exit 70, with a stack and the versions to report', async () => {
    const { exit, stderr } = await play(['status'], failing(new TypeError('x is not a function')))
    expect(exit).toBe(70)
    expect(stderr).toContain('Bug  Something failed that should not (TypeError)')
    expect(stderr).toContain('    at ')
    expect(stderr).toMatch(/Please report it .* tote \d+\.\d+\.\d+, Node v/)
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])('after %s the exit code is %i, whatever the interrupted work said', async (signal, exit) => {
    const played = await play(['status'], {
      surface: { signal: AbortSignal.abort(interruption(signal)) },
      pipeline: { status: async () => Promise.reject(new Error('aborted')) },
    })
    expect(played.exit).toBe(exit)
    expect(played.stderr).toContain(`Interrupted by ${signal}; nothing is half done`)
  })

  test('the project is closed, and what closing it says does not hide what went wrong', async () => {
    let closed = 0
    const project = {
      stateFolder: '/nowhere',
      close: async () => (closed++, Promise.reject(new Error('close'))),
    }
    const { stderr } = await play(['status'], {
      pipeline: {
        openProject: async () => project as never,
        status: async () => Promise.reject(new ToteError('LakeCorrupt', 'torn')),
      },
    })
    expect(closed).toBe(1)
    expect(stderr).toContain('LakeCorrupt  torn')
  })
})
