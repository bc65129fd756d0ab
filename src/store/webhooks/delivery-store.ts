/** One delivery to one webhook that has not succeeded. */
export interface StoredDelivery {
  /** The same over all attempts. In the order of their texts, deliveries are in the order in which they were accepted. */
  readonly id: string;
  /** Which webhook it is for. */
  readonly hook: string;
  /** The kind of event: `push`. */
  readonly event: string;
  /** What is sent. */
  readonly body: string;
  /** When it was accepted; milliseconds since the epoch. */
  readonly createdAt: number;
  /** Attempts that failed. */
  readonly attempts: number;
  /** When it is tried next; milliseconds since the epoch. */
  readonly dueAt: number;
}

/** What changed since the last time. No delivery is in both lists. */
export interface DeliveryChanges {
  /** Deliveries as they are now, new ones and known ones. */
  readonly put: readonly StoredDelivery[];
  /** Ids of those that are done; unknown ones are ignored. */
  readonly remove: readonly string[];
}

/** Deliveries that outlive the process. */
export interface DeliveryStore {
  /** All of them, oldest first. */
  list(): Promise<readonly StoredDelivery[]>;
  /** Takes up all of the changes or, where it rejects, none. The caller batches: a push must not cost a write of its own. */
  save(changes: DeliveryChanges): Promise<void>;
  close(): Promise<void>;
}
