/** What a newcomer types: the help, the demo, and the demo after `npm ci` in a checkout without node_modules. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Figure } from './figures.ts'
import type { Place } from './place.ts'
import { timeProcess } from './timed-process.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

export async function measureHelp(pairs: number): Promise<Figure> {
  const samples: number[] = []
  for (let round = -1; round < pairs; round++) {
    const seconds = await timeProcess(process.execPath, [join(ROOT, 'bin', 'tote.js'), '--help'])
    if (round >= 0) samples.push(seconds)
  }
  const goal = { of: 'figure', is: 'at most', bound: 0.3 } as const
  return { name: 'help', what: 'tote --help', unit: 's', samples, goal }
}

/** The whole demo in a copy of the checkout: its server, its databases and its lake are made anew. */
export async function measureDemo(place: Place): Promise<Figure> {
  const checkout = await copyCheckout(place)
  await symlink(join(ROOT, 'node_modules'), join(checkout, 'node_modules'))
  await cp(join(ROOT, 'dist'), join(checkout, 'dist'), {
    recursive: true,
    preserveTimestamps: true,
  })
  const samples = [await timeProcess('npm', ['run', 'demo'], { cwd: checkout })]
  const goal = { of: 'figure', is: 'at most', bound: 30 } as const
  return { name: 'demo', what: 'npm run demo', unit: 's', samples, goal }
}

/** The npm cache is filled by the first of two installations; only the second counts. */
export async function measureInstallAndDemo(place: Place): Promise<Figure> {
  const install = async (checkout: string): Promise<number> =>
    timeProcess('npm', ['ci', '--prefer-offline', '--no-audit', '--no-fund'], { cwd: checkout })
  await install(await copyCheckout(place))
  const checkout = await copyCheckout(place)
  const seconds =
    (await install(checkout)) + (await timeProcess('npm', ['run', 'demo'], { cwd: checkout }))
  return {
    name: 'install-and-demo',
    what: 'npm ci && npm run demo, npm cache warm',
    unit: 's',
    samples: [seconds],
    goal: { of: 'figure', is: 'at most', bound: 90 },
  }
}

/** The files that git knows or would take, as they are now. */
async function copyCheckout(place: Place): Promise<string> {
  const checkout = await mkdtemp(join(place.folder, 'checkout-'))
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await promisify(execFile)('git', args, { cwd: ROOT })
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    await mkdir(dirname(join(checkout, file)), { recursive: true })
    await cp(join(ROOT, file), join(checkout, file), { preserveTimestamps: true }).catch(
      ignoreMissing,
    )
  }
  return checkout
}

/** Deleted, and git not yet told. */
function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}
