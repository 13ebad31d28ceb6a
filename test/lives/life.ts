/** One life of a project: its steps, each drawn by the life's seed. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createProject } from '../support/project.ts'
import { backUpOrPutBack, dropBackup } from './backup.ts'
import { chanceOf, type Chance } from './chance.ts'
import { divide, expectHanging, hang } from './hanging.ts'
import { loseLedger, moveSource, repair } from './harm.ts'
import { befallCrm, changeCrm, dropCrm, openCrm } from './crm-steps.ts'
import { FIRST_VARIANTS } from './models.ts'
import {
  changeSchema,
  dump,
  dropDump,
  editConfig,
  editFiles,
  editSeeds,
  editSome,
  emptyWarehouse,
  moveLake,
} from './owner.ts'
import {
  badEdit,
  checkThenRun,
  killThenRun,
  rehearseThenRun,
  changeThing,
  runAgain,
  runAndCheck,
  runElsewhere,
  runForward,
  runStages,
} from './runs.ts'
import { askEverything, checkData } from './reports.ts'
import { expectAsOf, expectRebuilt, expectVerified } from './standing.ts'
import { closeOpen, openOrClose } from './stay.ts'
import { restart } from './restarts.ts'
import { runTogether } from './together.ts'
import { NO_THING, thingRows } from './thing.ts'
import { said, writeAll, type Life, type State } from './state.ts'
import { changeSql, configOf, FIRST, SETUP } from './world.ts'

export async function live(life: Life): Promise<void> {
  const { servers } = life
  const first = chanceOf(life.seed, 0)
  const project = await createProject({
    ...configOf(FIRST),
    setup: SETUP,
    models: {},
    servers,
  })
  const state: State = {
    project,
    settings: { ...FIRST },
    carried: { ...FIRST },
    models: new Map(Object.entries(FIRST_VARIANTS)),
    taken: new Map(),
    segments: new Map(),
    points: [],
    known: new Map(),
    shop: 0,
    seeds: 0,
    crmBatch: 0,
    crm: await openCrm(servers, project, first),
    crmDump: false,
    admin: {
      source: servers.source.database('postgres'),
      warehouse: servers.warehouse.database('postgres'),
    },
    seedRows: [
      ['R0', 'Zero'],
      ['R1', 'One'],
    ],
    seedColumns: ['code', 'label'],
    extraAttribute: 0,
    thing: NO_THING,
    accept: new Set(),
    retired: new Map(),
    dump: false,
    hung: new Map(),
    hungSoFar: 0,
    backup: null,
    open: null,
    chance: chanceOf(life.seed, 0),
    life,
  }
  try {
    await writeAll(state)
    life.log('first run')
    await runAndCheck(state)
    // What happens most is there more than once.
    const often = STEPS.filter(([weight]) => weight >= 5)
    const once = shuffled([...STEPS, ...often], chanceOf(life.seed, 0))
    for (let step = 1; step <= (life.steps ?? once.length); step++) {
      if (life.skip.has(step)) continue
      state.chance = chanceOf(life.seed, step)
      const [, name, act] =
        life.steps === null ? (once[step - 1] ?? NOTHING) : weighted(state.chance)
      life.log(`${step} ${name}`)
      life.count(name)
      await act(state)
    }
    life.log('last run')
    await runAndCheck(state)
    await expectRebuilt(state, false)
    await expectVerified(state)
  } finally {
    await closeOpen(state)
    await dropDump(state)
    await dropBackup(state)
    await dropCrm(state)
    await project.close()
  }
}

type Act = (state: State) => Promise<void>

type Step = readonly [weight: number, name: string, act: Act]

const NOTHING: Step = [0, 'nothing', async () => undefined]

const STEPS: readonly Step[] = [
  [
    10,
    'change',
    async (s) =>
      s.project.source.query(said(s, changeSql(s.chance, s.settings))).then(() => undefined),
  ],
  [8, 'edit', async (s) => editSome(s)],
  [3, 'file', async (s) => editFiles(s)],
  [5, 'config', async (s) => editConfig(s)],
  [
    4,
    'rows of the thing',
    async (s) => {
      const { source } = s.project
      await source.query(`${said(s, await thingRows(source, s.chance))}; update beat set n = n + 1`)
    },
  ],
  [8, 'rows of the second source', async (s) => changeCrm(s)],
  [4, 'second source', async (s) => befallCrm(s)],
  [4, 'columns of the thing', async (s) => changeThing(s)],
  [3, 'width of the thing', async (s) => changeThing(s, s.life.steps === null ? 60 : 240)],
  [2, 'seeds', async (s) => editSeeds(s)],
  [
    3,
    'schema',
    async (s) => {
      if (await changeSchema(s)) await runAndCheck(s)
    },
  ],
  [
    10,
    'run',
    async (s) => {
      await runAndCheck(s)
    },
  ],
  [3, 'run --dry-run', async (s) => rehearseThenRun(s)],
  [4, 'run --forward', async (s) => runForward(s)],
  [
    2,
    'run --full-refresh',
    async (s) => {
      await runAndCheck(s, { fullRefresh: true })
    },
  ],
  [2, 'run again', async (s) => runAgain(s)],
  [3, 'stages', async (s) => runStages(s)],
  [4, 'kill', async (s) => killThenRun(s)],
  [2, 'bad edit', async (s) => badEdit(s)],
  [
    2,
    'rebuild',
    async (s) => {
      await runAndCheck(s)
      await expectRebuilt(s, s.chance.yes(0.3))
      await expectHanging(s)
    },
  ],
  [
    2,
    'verify',
    async (s) => {
      await runAndCheck(s)
      await expectVerified(s)
    },
  ],
  [2, 'repair', async (s) => repair(s)],
  [1, 'empty the warehouse', async (s) => emptyWarehouse(s)],
  [2, 'dump', async (s) => dump(s)],
  [
    1,
    'delete .tote',
    async (s) => {
      await rm(join(s.project.folder, '.tote'), { recursive: true, force: true })
    },
  ],
  [1, 'move the lake', async (s) => moveLake(s)],
  [
    2,
    'as of',
    async (s) => {
      await runAndCheck(s)
      await expectAsOf(s)
    },
  ],
  [2, 'environment', async (s) => runElsewhere(s)],
  [2, 'check', async (s) => (s.chance.yes(0.5) ? checkThenRun(s) : checkData(s))],
  [3, 'restart', async (s) => restart(s)],
  [4, 'stay open', async (s) => openOrClose(s)],
  [1, 'move the source', async (s) => moveSource(s)],
  [2, 'lose the ledger', async (s) => loseLedger(s)],
  [3, 'hang', async (s) => hang(s)],
  [2, 'divide', async (s) => divide(s)],
  [3, 'back up', async (s) => backUpOrPutBack(s)],
  [2, 'together', async (s) => runTogether(s)],
  [1, 'ask', async (s) => askEverything(s)],
]

function weighted(chance: Chance): Step {
  const sum = STEPS.reduce((all, [weight]) => all + weight, 0)
  let left = chance.below(sum)
  for (const step of STEPS) {
    const [weight] = step
    if (left < weight) return step
    left -= weight
  }
  throw new RangeError('no step')
}

function shuffled<T>(list: readonly T[], chance: Chance): readonly T[] {
  const left = [...list]
  return list.map(() => left.splice(chance.below(left.length), 1)).flat()
}
