/** A zone's URL to its store. */
import { ToteError } from '../errors.ts'
import { openFolderStore } from './store-folder.ts'
import type { Store } from './store.ts'

/** Opens a zone. Throws NotSupportedYet for anything but a folder. */
export function openStore(url: string): Store {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) {
    throw new ToteError(
      'NotSupportedYet',
      `The lake at "${url}" is not a folder, and only folders are supported so far.`,
      {
        fix: 'give lake.ingestion and lake.processed a folder, for example ".tote/lake/ingestion"',
      },
    )
  }
  return openFolderStore(url)
}
