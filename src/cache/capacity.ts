/** How transfers use the capacity of the cache, which `eviction/` manages. */
export interface Capacity {
  /** Whether content of so many bytes may be stored; undefined where the size is not known yet. */
  mayKeep(size?: number): boolean;
  /** Whether one more blob that is whole may wait to be published; each holds a descriptor until its file is flushed. */
  mayPublish(): boolean;
  /** Resolves when it is decided which of the running transfers are stored. Never rejects. */
  decided(): Promise<void>;
  /** Reports that the disk refused to store something. */
  refused(error: unknown): void;
  /** Makes room where that is needed, soon: something was stored. */
  look(): void;
}
