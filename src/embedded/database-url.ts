/**
 * A configured database to a URL: the given one, or one on the embedded server, which is loaded and
 * started when first asked for.
 */
import type { Database } from '../secrets/reference.ts'
import { ToteError } from '../errors.ts'
import type { EmbeddedDatabase } from './database.ts'
import type { EmbeddedServer } from './server.ts'

export interface DatabaseUrls {
  urlOf(database: Database): Promise<string>
  /** The embedded database behind a setting, or null when a URL was given. */
  embeddedOf(database: Database): Promise<EmbeddedDatabase | null>
  /** Lets go of the embedded server; the last command that does so stops it. */
  close(): Promise<void>
}

export function openDatabaseUrls(stateFolder: string, log: (text: string) => void): DatabaseUrls {
  let server: Promise<EmbeddedServer> | undefined
  const opened = new Map<Database, Promise<EmbeddedDatabase>>()
  const start = async (): Promise<EmbeddedServer> => {
    const { startEmbedded } = await import('./server.ts')
    return startEmbedded({ folder: stateFolder, log })
  }
  const open = async (database: Database & { type: 'embedded' }): Promise<EmbeddedDatabase> => {
    server ??= start()
    const { ensureEmbeddedDatabase } = await import('./database.ts')
    const { owner, reader, setup } = database
    return ensureEmbeddedDatabase(await server, {
      database: database.database,
      owner,
      ...(reader === null ? {} : { reader }),
      setup: async (ownerUrl) => {
        if (setup !== null) log(`filling the embedded database "${database.database}"`)
        try {
          await setup?.(ownerUrl)
        } catch (error) {
          throw setupFailed(database.database, error)
        }
      },
    })
  }
  const embeddedOf = async (database: Database): Promise<EmbeddedDatabase | null> => {
    if (database.type === 'url') return null
    const known = opened.get(database) ?? open(database)
    opened.set(database, known)
    return known
  }
  return {
    embeddedOf,
    urlOf: async (database) => {
      if (database.type === 'url') return database.url.reveal()
      const found = await embeddedOf(database)
      return found?.readerUrl ?? found?.ownerUrl ?? ''
    },
    close: async () => {
      await Promise.allSettled(opened.values())
      await (await server?.catch(() => undefined))?.release()
    },
  }
}

/** The project's own code failed; what it says may quote a value, so only a terminal sees it (P10). */
function setupFailed(database: string, cause: unknown): ToteError {
  if (cause instanceof ToteError) return cause
  return new ToteError(
    'ConfigInvalid',
    `The setup of the embedded database "${database}" failed.`,
    {
      where: `tote.config.ts: embedded({ database: '${database}' }).setup`,
      fix: 'correct it; the next command runs it again',
      terminal: [cause instanceof Error ? cause.message : String(cause)],
      cause,
    },
  )
}
