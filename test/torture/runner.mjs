// A process that runs a project again and again, as it is told, under the kill switch, and whose clock can be set.
// At the point that was chosen it writes one line to file 3 of its own, and stands still until one line comes on
// file 4; whoever reads the first may kill it, or something else, or nothing.
import { readSync, writeSync } from 'node:fs'

const TOLD = 4
const ANSWER = 5
const control = globalThis[Symbol.for('tote kill switch')]
let skewMs = 0
const SystemDate = Date
globalThis.Date = class extends SystemDate {
  constructor(...given) {
    if (given.length === 0) super(SystemDate.now() + skewMs)
    else super(...given)
  }

  static now() {
    return SystemDate.now() + skewMs
  }
}

const { openProject } = await import(process.env.TORTURE_PRODUCT)
// All ahead: a run that is to be killed need not wait for them.
await Promise.all(['pg', '@duckdb/node-api'].map((name) => import(name)))
const project = await openProject({ cwd: process.env.TORTURE_PROJECT })

function halt(point) {
  writeSync(TOLD, `${JSON.stringify({ ...point, pid: process.pid })}\n`)
  const answer = JSON.parse(readLine())
  skewMs = answer.skewMs ?? 0
}

function readLine() {
  const byte = Buffer.alloc(1)
  let line = ''
  for (;;) {
    try {
      if (readSync(ANSWER, byte, 0, 1, null) === 0) process.exit(0)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2)
      continue
    }
    if (byte[0] === 10) return line
    line += byte.toString()
  }
}

async function runOnce({ command, settings, point }) {
  try {
    control.arm(point === null ? {} : { ...point, halt })
    const run = project[command](settings)
    for await (const event of run) {
      if (event.type === 'stage.started') control.enter(event.stage)
      if (event.type === 'stage.finished') control.enter('between')
    }
    const summary = await run.summary
    const effects = control.stages()
    control.arm({})
    process.send({ outcome: summary.outcome, error: summary.error, effects })
  } catch (error) {
    process.send({
      outcome: 'thrown',
      error: { name: error.name, message: String(error.stack) },
      effects: {},
    })
  } finally {
    skewMs = 0
  }
}

process.on('message', (order) => void runOnce(order))
process.on('disconnect', () => process.exit(0))
// Whoever started it may be gone already.
process.send('ready', () => undefined)
