/** The files of a new project besides its models, as text. Pure. */
import { parseEnv } from 'node:util'
import { ToteError } from '../errors.ts'
import type { Found } from './found.ts'
import { WAREHOUSE_VARIABLE, type Location } from './location.ts'
import { modelText } from './model-text.ts'
import type { Plan } from './plan.ts'

export interface NewProject {
  readonly name: string
  readonly source: Location
  /** null: the embedded server. */
  readonly warehouse: Location | null
  readonly warehouseSchema: string
  readonly found: Found
  readonly plan: Plan
  /** What package.json says of Tote. */
  readonly dependencies: Readonly<Record<string, string>>
}

export interface NewFile {
  readonly path: string
  readonly text: string
  /** For its owner's eyes only. */
  readonly secret?: boolean
}

/** Every file, the config last: it is what makes a folder a project. */
export function projectFiles(project: NewProject): NewFile[] {
  const env = envText(project)
  return [
    ...project.plan.models.map((model) => ({
      path: `models/${model.name}.sql`,
      text: modelText(model, project.plan.source),
    })),
    // The folder must be there, and git keeps no empty one.
    ...(project.plan.models.length === 0 ? [{ path: 'models/.gitkeep', text: '' }] : []),
    { path: '.gitignore', text: 'node_modules/\n.tote/\n.env\n.env.local\n' },
    { path: '.env.example', text: envExample(project) },
    ...(env === '' ? [] : [{ path: '.env', text: env, secret: true }]),
    { path: 'package.json', text: packageText(project) },
    { path: 'README.md', text: readmeText(project) },
    { path: 'tote.config.ts', text: configText(project) },
  ]
}

function configText({ name, source, warehouse, warehouseSchema, found, plan }: NewProject): string {
  const { defaultSchema, include, exclude } = found
  const own = warehouse === null
  return `import { defineProject, ${own ? 'embedded, ' : ''}env } from 'totedata'

export default defineProject({
  name: ${literal(name)},
  sources: {
    ${plan.source}: {
      type: 'postgres',
      url: env(${literal(source.variable)}),${
        defaultSchema === 'public' ? '' : `\n      defaultSchema: ${literal(defaultSchema)},`
      }
      tables: {
        include: [${include.map(literal).join(', ')}],${
          exclude.length === 0
            ? ''
            : `\n        exclude: [\n${exclude
                .map(
                  ({ pattern, why }) =>
                    `          // ${comment(why)}\n          ${literal(pattern)},\n`,
                )
                .join('')}        ],`
        }
      },
    },
  },
  warehouse: {
${
  own
    ? `    // Until ${WAREHOUSE_VARIABLE} names a database, the PostgreSQL that comes with Tote is the warehouse.
    url: env('${WAREHOUSE_VARIABLE}', embedded({ database: 'warehouse', owner: 'tote_loader' })),`
    : `    url: env(${literal(warehouse.variable)}),`
}
    schema: ${literal(warehouseSchema)},
  },
})
`
}

function envExample({ source, warehouse }: NewProject): string {
  return `# Copy to .env and fill in; .env is kept out of git.
# The source: a role that may only SELECT is enough.
${source.variable}=postgres://user:password@host:5432/database
# The warehouse: a role that may create tables.${
    warehouse === null ? ' Without it, an embedded PostgreSQL in .tote/ is used.' : ''
  }
${warehouse === null ? '#' : ''}${warehouse?.variable ?? WAREHOUSE_VARIABLE}=postgres://user:password@host:5432/warehouse
`
}

function envText({ source, warehouse }: NewProject): string {
  return [source, ...(warehouse === null ? [] : [warehouse])]
    .filter(({ given }) => given)
    .map(({ variable, url }) => `${variable}=${envValue(variable, url)}\n`)
    .join('')
}

/** A value as `.env` gives it back; quotes are tried until it does. */
function envValue(variable: string, value: string): string {
  const written = ['', "'", '"', '`']
    .map((quote) => quote + value + quote)
    .find((text) => parseEnv(`${variable}=${text}\nEND=`)[variable] === value)
  if (written !== undefined) return written
  throw new ToteError('UsageInvalid', 'The URL cannot be written into .env as it is', {
    fix: `percent-encode quotes and blanks in it, or give it as env:${variable}`,
  })
}

function packageText({ name, dependencies }: NewProject): string {
  const manifest = {
    name: name.toLowerCase(),
    private: true,
    type: 'module',
    scripts: { check: 'tote check --live', carry: 'tote run', status: 'tote status' },
    dependencies,
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

function readmeText({ name, source, warehouse, plan, found }: NewProject): string {
  const rows = plan.models.map(
    ({ name: model, kind, origin, key }) =>
      `| \`${cell(model)}\` | ${kind} | \`${cell(origin)}\` | ${key.map((column) => `\`${cell(column)}\``).join(', ')} |`,
  )
  const left = plan.leftOut.map(({ origin, why }) => `- \`${cell(origin)}\` ${cell(why)}`)
  return `# ${name}

Carries ${plan.models.length} ${plan.models.length === 1 ? 'table' : 'tables'} of the PostgreSQL database \`${cell(found.database)}\` into a warehouse, with [Tote](https://www.npmjs.com/package/totedata).
Written by \`tote init\`; everything here is yours to change.

\`\`\`sh
npm install          # once
npx tote check --live
npx tote run
npx tote status
npx tote query "select count(*) from ${plan.models[0]?.name ?? 'model'}"
\`\`\`

In a clone of Tote's repository, without the installation: \`npx tote -C <this folder> run\`.

- \`tote.config.ts\`: what is read and where it goes. The source's URL is in \`${source.variable}\`, ${
    warehouse === null
      ? 'the warehouse is an embedded PostgreSQL in `.tote/` until `WAREHOUSE_URL` names one'
      : `the warehouse's in \`${warehouse.variable}\``
  } (\`.env\`, kept out of git; \`.env.example\` shows its form).
- \`models/\`: one \`.sql\` file a warehouse table. Before the first run, rename, join and drop what you like.

## Models

A table with two or more references to others, and more than refer to it, began as a **fact**: every version
is kept. So did one with a single reference, if nothing refers to it and it holds a moment or an amount. All
others with a key began as **dimensions** (latest values), those without as **tables**.

| model | kind | from | key |
| --- | --- | --- | --- |
${rows.join('\n')}
${left.length === 0 ? '' : `\n## Left out\n\n${left.join('\n')}\n`}`
}

function literal(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`
}

function comment(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').replaceAll('`', "'")
}
