/**
 * A zone's objects. Nothing is overwritten and nothing is deleted (P3): there is no call for either.
 */
export interface StoredObject {
  readonly bytes: number
  /** Lower-case hex. */
  readonly sha256: string
}

export interface Store {
  /** For people: a folder's path or `s3://bucket/prefix`. */
  readonly url: string

  /**
   * Makes `body` visible under `key` in one step, durable on return, only if nothing is there.
   * Returns 'exists', having changed nothing, when something is. Never leaves a torn object.
   */
  create(key: string, body: Uint8Array): Promise<'created' | 'exists'>

  /**
   * Lets `produce` write a local file and stores it, durable on return, under a key that nobody else
   * uses (keys of data files are random). Until a manifest names it, the object does not exist.
   */
  writeFile(key: string, produce: (path: string) => Promise<void>): Promise<StoredObject>

  /** The object's bytes, or undefined when there is none. */
  read(key: string): Promise<Buffer | undefined>

  /** True when an object is there. */
  has(key: string): Promise<boolean>

  /**
   * A local path with the object's bytes, checked against what a manifest says of it.
   * Throws LakeCorrupt when it is missing, of another size or of another sha256.
   */
  localPath(key: string, expected: StoredObject): Promise<string>

  /** What the keys of its objects begin with, up to the first `/`, in order. */
  folders(): Promise<readonly string[]>

  /** Reads the object afresh, whatever was seen of it before. Throws LakeCorrupt as localPath does. */
  verify(key: string, expected: StoredObject): Promise<void>
}
