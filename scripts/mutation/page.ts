/** The table of docs/mutation.md: a row for each module that was mutated, others as they were. */
import { MODULES } from './modules.ts'
import type { Mutant } from './stryker.ts'

const HEAD = '| module | promises | mutants | killed | survived | score |'
const RULE = '| --- | --- | --- | --- | --- | --- |'
const TOTAL = 'all'

type Counts = Readonly<Record<'mutants' | 'killed' | 'survived', number>>

/** The page with these results in it. Text around the table is as it was. */
export function withResults(page: string, results: ReadonlyMap<string, readonly Mutant[]>): string {
  const lines = page.split('\n')
  const isRow = (line: string): boolean => line.startsWith('|')
  const from = lines.findIndex((line) => /^\| module +\| promises/.test(line))
  const length = lines.slice(from).findIndex((line) => !isRow(line))
  if (from < 0 || length < 0) throw new Error('docs/mutation.md has no table of modules')
  const known = new Map(lines.slice(from + 2, from + length).map(countsOfRow))
  const rows = Object.keys(MODULES).flatMap((module) => {
    const result = results.get(module)
    const counts = result === undefined ? known.get(module) : countsOf(result)
    return counts === undefined ? [] : [{ module, counts }]
  })
  const sum = (name: keyof Counts): number =>
    rows.reduce((all, { counts }) => all + counts[name], 0)
  const total = { mutants: sum('mutants'), killed: sum('killed'), survived: sum('survived') }
  const table = [
    HEAD,
    RULE,
    ...rows.map(({ module, counts }) =>
      rowOf(`\`${module}\``, MODULES[module]?.promises ?? '', counts),
    ),
    rowOf(TOTAL, '', total),
  ]
  return [...lines.slice(0, from), ...table, ...lines.slice(from + length)].join('\n')
}

function countsOf(mutants: readonly Mutant[]): Counts {
  const killed = mutants.filter(isKilled).length
  return { mutants: mutants.length, killed, survived: mutants.length - killed }
}

export function isKilled({ status }: Mutant): boolean {
  return status === 'Killed' || status === 'Timeout'
}

function rowOf(name: string, promises: string, { mutants, killed, survived }: Counts): string {
  const score = mutants === 0 ? 100 : (100 * killed) / mutants
  return `| ${name} | ${promises} | ${mutants} | ${killed} | ${survived} | ${score.toFixed(1)} % |`
}

function countsOfRow(line: string): readonly [module: string, counts: Counts] {
  const [, module = '', , mutants, killed, survived] = line.split('|').map((cell) => cell.trim())
  return [
    module.replaceAll('`', ''),
    { mutants: Number(mutants), killed: Number(killed), survived: Number(survived) },
  ]
}
