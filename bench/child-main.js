// The process in which Tote is measured: plain JavaScript on dist/, so that no transpiler is in the
// figures, and one of its own, so that its peak of memory is Tote's. Takes one task at a time from its
// parent (child.ts) and answers with seconds.
const load = async (module) => import(new URL(`../dist/${module}`, import.meta.url).href)
let project

const tasks = {
  // A project opened, one run, the project closed.
  whole: async ({ cwd, options }) => {
    const { openProject } = await load('index.js')
    const opened = await openProject({ cwd })
    try {
      return await runOn(opened, options)
    } finally {
      await opened.close()
    }
  },
  // A rebuild, from opening the project to closing it.
  rebuild: async ({ cwd }) => {
    const { openProject } = await load('index.js')
    const opened = await openProject({ cwd })
    try {
      return { summary: await opened.rebuild().succeeded() }
    } finally {
      await opened.close()
    }
  },
  // A run in a project that stays open.
  run: async ({ cwd, options }) => {
    const { openProject } = await load('index.js')
    project ??= await openProject({ cwd })
    return runOn(project, options)
  },
  // A project opened, verified, closed.
  verify: async ({ cwd }) => {
    const { openProject } = await load('index.js')
    const opened = await openProject({ cwd })
    try {
      return { summary: await opened.verify().succeeded() }
    } finally {
      await opened.close()
    }
  },
  // What is received is thrown away.
  copyOut: async ({ url, texts }) => {
    const { connect } = await load('postgres/connection.js')
    const connection = await connect({ side: 'source', name: 'bench', url })
    try {
      const sink = { row: () => undefined, ready: () => undefined }
      for (const text of texts) await connection.copyOut('copy', text, sink)
    } finally {
      await connection.close()
    }
  },
}

async function runOn(opened, options) {
  return { summary: await opened.run(options).succeeded() }
}

/** Whether DuckDB's library is in this process: a run with nothing to do must not have paid for it. */
function isEngineLoaded() {
  process.report.excludeNetwork = true
  return process.report.getReport().sharedObjects.some((path) => path.includes('duckdb'))
}

async function answer({ task, ...given }) {
  const startedAt = performance.now()
  try {
    const answer = await tasks[task](given)
    const seconds = (performance.now() - startedAt) / 1000
    const peakMb = process.resourceUsage().maxRSS / 1024
    process.send({ seconds, peakMb, engineLoaded: isEngineLoaded(), ...answer })
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) })
  }
}

async function end() {
  await project?.close()
  process.exit()
}

process.on('message', (message) => void answer(message))
process.on('disconnect', () => void end())
