// Preloaded into the built CLI (`node --import`): counts the effects that a run has on the world
// outside its process, and kills that process at one of them. Nothing in the product knows of it; it
// wraps what lies below: node:fs, the PostgreSQL protocol, DuckDB's own statements.
//
//   KILL_AT      2k for before the k-th effect, 2k + 1 for after it; nothing is killed without one
//   KILL_ON      instead: a regular expression for "<stage> <effect>", killed before the first that fits
//   KILL_WITH    SIGKILL, or SIGSTOP: then it goes on when it is told to
//   KILL_LOOKS   when set, looking at a manifest of the lake counts as an effect, too
//   KILL_REPORT  a file: one JSON line for each effect that began, and one for the kill
//
// A process that runs again and again arms it anew each time, by `globalThis[Symbol.for('tote kill switch')]`;
// it then hands the point to a function, in place of the signal, and goes on when that returns.
//
// After an effect on a server means: the bytes are on their way, its answer is not read. After one of
// DuckDB's means: it has begun, in a thread of its own.
import { createRequire, syncBuiltinESMExports } from 'node:module'
import fs from 'node:fs'

let at = Number(process.env['KILL_AT'] ?? -1)
let on = process.env['KILL_ON'] === undefined ? undefined : new RegExp(process.env['KILL_ON'])
const signal = process.env['KILL_WITH'] ?? 'SIGKILL'
const report = fs.openSync(process.env['KILL_REPORT'] ?? '/dev/null', 'a')
// Taken before they are wrapped.
const { writeSync } = fs
let count = 0
let stage = 'start'
let killed = false
/** What a point is handed to, in place of the signal. */
let halt
/** Where `on` kills, and how many that fit it passes over. */
let side = 'before'
let skip = 0
/** How many effects each stage had. */
let stages = {}

globalThis[Symbol.for('tote kill switch')] = {
  arm(point) {
    at = point.at ?? -1
    on = point.on === undefined ? undefined : new RegExp(point.on)
    side = point.side ?? 'before'
    skip = point.skip ?? 0
    stages = {}
    halt = point.halt
    count = 0
    stage = 'start'
    killed = false
  },
  enter(name) {
    stage = name
  },
  stages: () => stages,
}

/** An effect begins: `n` for `ended`. Kills when its time has come. */
function begins(effect) {
  count += 1
  note({ n: count, stage, effect })
  stages[stage] = (stages[stage] ?? 0) + 1
  const n = count
  if (!killed && on?.test(`${stage} ${effect}`) === true && skip-- === 0)
    at = 2 * n + (side === 'after' ? 1 : 0)
  if (at === 2 * n) kill('before', effect)
  return n
}

function ended(n, effect) {
  if (at === 2 * n + 1) kill('after', effect)
}

function kill(when, effect) {
  if (killed) return
  killed = true
  note({ killed: when, n: count, stage, effect })
  if (halt !== undefined) {
    halt({ when, n: count, stage, effect })
    return
  }
  process.kill(process.pid, signal)
  // The signal is on its way; nothing more may happen before it is there.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, signal === 'SIGKILL' ? Infinity : 50)
}

function note(fact) {
  writeSync(report, `${JSON.stringify(fact)}\n`)
}

watchStages()
wrapFiles()
wrapDrivers()

/** The stage is what the run itself said last, on stdout. */
function watchStages() {
  const write = process.stdout.write
  process.stdout.write = function (chunk, ...rest) {
    for (const line of String(chunk).split('\n')) {
      const said = /"type":"(stage\.started|stage\.finished)".*?"stage":"(\w+)"/.exec(line)
      if (said !== null) stage = said[1] === 'stage.started' ? said[2] : 'between'
    }
    return write.call(this, chunk, ...rest)
  }
}

function wrapFiles() {
  const outside = (name) => /[/\\](?:lake|\.tote)[/\\]/.test(String(name))
  const promised = (object, name, describe) => {
    const original = object[name]
    object[name] = async function (...args) {
      const effect = describe.call(this, args)
      if (effect === undefined) return original.apply(this, args)
      const n = begins(effect)
      const result = await original.apply(this, args)
      ended(n, effect)
      return result
    }
  }
  const synchronous = (name, describe) => {
    const original = fs[name]
    fs[name] = function (...args) {
      const effect = describe(args)
      if (effect === undefined) return original.apply(this, args)
      const n = begins(effect)
      const result = original.apply(this, args)
      ended(n, effect)
      return result
    }
  }
  const onPath =
    (name) =>
    ([path]) =>
      outside(path) ? `fs.${name} ${keyOf(path)}` : undefined
  const { promises } = fs
  for (const name of ['mkdir', 'rm', 'unlink', 'rename', 'writeFile', 'appendFile', 'truncate'])
    promised(promises, name, onPath(name))
  if (process.env['KILL_LOOKS'] !== undefined) {
    for (const name of ['readFile', 'access'])
      promised(promises, name, ([path]) =>
        String(path).includes('_manifests') ? `fs.${name} ${keyOf(path)}` : undefined,
      )
  }
  promised(promises, 'link', ([, path]) => (outside(path) ? `fs.link ${keyOf(path)}` : undefined))
  for (const name of ['mkdirSync', 'rmSync', 'unlinkSync', 'renameSync', 'writeFileSync'])
    synchronous(name, onPath(name))

  const paths = new WeakMap()
  const open = promises.open
  let wrapped = false
  promises.open = async function (path, flags = 'r', ...rest) {
    const effect = flags !== 'r' && outside(path) ? `fs.open(${flags}) ${keyOf(path)}` : undefined
    const n = effect === undefined ? 0 : begins(effect)
    const handle = await open.call(this, path, flags, ...rest)
    if (!wrapped) {
      wrapped = true
      const prototype = Object.getPrototypeOf(handle)
      for (const name of ['write', 'writev', 'writeFile', 'sync', 'datasync', 'truncate']) {
        promised(prototype, name, function () {
          const key = paths.get(this)
          return key === undefined ? undefined : `fs.handle.${name} ${key}`
        })
      }
    }
    if (outside(path)) paths.set(handle, keyOf(path))
    if (effect !== undefined) ended(n, effect)
    return handle
  }
  syncBuiltinESMExports()
}

/** What of a path says where it lies, without what is random in it. */
function keyOf(path) {
  return String(path)
    .replace(/^.*[/\\](?=lake[/\\]|\.tote[/\\])/, '')
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…')
    .replaceAll(/\d{12}(-base)?-\d+-[0-9a-f]{12}/g, '…$1')
}

/** Drivers are wrapped when the run itself loads them. */
function wrapDrivers() {
  const Module = createRequire(import.meta.url)('node:module')
  const load = Module._load
  const done = new Set()
  const once = (key, exports, wrap) => {
    if (done.has(key)) return
    done.add(key)
    wrap(exports)
  }
  Module._load = function (request, ...rest) {
    const exports = load.call(this, request, ...rest)
    if (exports?.Client?.prototype !== undefined && exports?.Connection?.prototype !== undefined)
      once('pg', exports.Connection.prototype, wrapProtocol)
    if (exports?.DuckDBConnection?.prototype?.run !== undefined)
      once('duckdb', exports.DuckDBConnection.prototype, wrapDuckdb)
    return exports
  }
}

function wrapProtocol(connection) {
  const sent = (name, describe) => {
    const original = connection[name]
    connection[name] = function (...args) {
      const effect = `pg.${name} ${describe.call(this, args)}`
      const n = begins(effect)
      const result = original.apply(this, args)
      // The answer cannot be read before the next turn of the event loop.
      if (at === 2 * n + 1) setImmediate(() => ended(n, effect))
      return result
    }
  }
  const words = (text) => text.replaceAll(/\s+/g, ' ').slice(0, 90)
  sent('startup', ([{ database }]) => String(database).replace(/_[0-9a-f]{12}$/, ''))
  sent('query', ([text]) => words(text))
  sent('parse', ([{ text }]) => words(text))
  sent('sendCopyFromChunk', ([chunk]) => `${chunk.length} bytes`)
  sent('endCopyFrom', () => '')
  sent('end', () => '')
}

function wrapDuckdb(connection) {
  const run = connection.run
  connection.run = async function (sql, ...rest) {
    const path = /^copy .* to '([^']+)'/is.exec(String(sql))?.[1]
    if (path === undefined) return run.call(this, sql, ...rest)
    const effect = `duckdb.copy ${keyOf(path)}`
    const n = begins(effect)
    if (at === 2 * n + 1) setTimeout(() => ended(n, effect), n % 4)
    return run.call(this, sql, ...rest)
  }
}
