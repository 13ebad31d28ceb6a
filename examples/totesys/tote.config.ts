import { defineProject, embedded, env } from 'totedata'

export default defineProject({
  name: 'totesys',
  sources: {
    totesys: {
      type: 'postgres',
      url: env(
        'TOTESYS_URL',
        embedded({
          database: 'totesys',
          owner: 'totesys_owner',
          reader: 'tote_reader',
          setup: async (ownerUrl) => {
            const { fill } = await import('./simulator/fill.ts')
            await fill(ownerUrl)
          },
        }),
      ),
      tables: { exclude: ['_prisma_migrations'] },
    },
  },
  lake: {
    ingestion: env('TOTE_LAKE_INGESTION', '.tote/lake/ingestion'),
    processed: env('TOTE_LAKE_PROCESSED', '.tote/lake/processed'),
  },
  warehouse: {
    url: env('WAREHOUSE_URL', embedded({ database: 'warehouse', owner: 'tote_loader' })),
  },
})
