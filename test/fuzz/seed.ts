/** `TOTE_SEED` draws the same again; fast-check prints the seed of what failed. */
export const drawn: { readonly seed?: number } =
  process.env['TOTE_SEED'] === undefined ? {} : { seed: Number(process.env['TOTE_SEED']) }
