/**
 * `npm run torture`: the attack of test/attack at full length. `-- --minutes 10 --seed 42 --strategy compare`; without
 * a seed one is drawn and printed. The last line says how many strategies held.
 */
import { parseArgs } from 'node:util'
import { attack, sayAttacked, STRATEGIES } from '../test/attack/attack.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    sessions: { type: 'string', default: '200' },
    strategy: { type: 'string', multiple: true, default: Object.keys(STRATEGIES) },
  },
})

let failed = 0
for (const name of values.strategy) {
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
  for (const problem of done.problems) console.log(`  PROBLEM ${problem}`)
  if (done.problems.length > 0) failed += 1
}
console.log(`${values.strategy.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
