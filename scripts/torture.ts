/**
 * `npm run torture`: the attack of test/attack at full length, and then the faults of test/torture by the thousand.
 * `-- --minutes 10 --seed 42 --strategy compare`, `-- --minutes 0 --kills 1000 --fault 'disk full'`; without a seed one
 * is drawn and printed. The last line says how many parts held.
 */
import { parseArgs } from 'node:util'
import { attack, sayAttacked, STRATEGIES } from '../test/attack/attack.ts'
import { FAULTS } from '../test/torture/faults.ts'
import { sayKilled, torture } from '../test/torture/kills.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    sessions: { type: 'string', default: '200' },
    strategy: { type: 'string', multiple: true, default: Object.keys(STRATEGIES) },
    kills: { type: 'string', default: '1000' },
    fault: { type: 'string', multiple: true, default: [...FAULTS] },
  },
})

let [parts, failed] = [0, 0]
const judge = (problems: readonly string[]): void => {
  for (const problem of problems) console.log(`  PROBLEM ${problem}`)
  parts += 1
  if (problems.length > 0) failed += 1
}

for (const name of Number(values.minutes) === 0 ? [] : values.strategy) {
  const strategy = STRATEGIES[name]
  if (strategy === undefined)
    throw new Error(`no strategy ${name}; there are ${Object.keys(STRATEGIES).join(', ')}`)
  console.log(`${name}: ${values.minutes} minutes, seed ${values.seed}`)
  const done = await attack({
    seed: Number(values.seed),
    seconds: Number(values.minutes) * 60,
    sessions: Number(values.sessions),
    longestMs: 60_000,
    strategy,
    columns: true,
    log: (text) => console.log(`  ${text}`),
  })
  console.log(sayAttacked(done))
  judge(done.problems)
}

if (Number(values.kills) > 0) {
  console.log(`faults: ${values.kills}, seed ${values.seed}`)
  const faults = values.fault.map((name) => {
    const fault = FAULTS.find((one) => one === name)
    if (fault === undefined) throw new Error(`no fault ${name}; there are ${FAULTS.join(', ')}`)
    return fault
  })
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const done = await torture({
    signal: stop.signal,
    seed: Number(values.seed),
    kills: Number(values.kills),
    faults,
    log: (text) => console.log(`  ${text}`),
  })
  console.log(sayKilled(done))
  judge(done.problems)
}

console.log(`${parts - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
