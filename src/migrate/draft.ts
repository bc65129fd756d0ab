import type { ConfigProblem, Scalar, Source } from '../config/index.ts';

/** The place of a value in an imported file, and its name there: `registry.hot.url`, `MIRROR_SERVER_PORT`, `-listen`. */
export interface Origin {
  readonly source: Source;
  readonly key: string;
}

/** A value of an imported file. */
export interface Found<T> {
  readonly value: T;
  readonly origin: Origin;
}

/** A step into a list. Two settings with the same `item` belong to the same item of it. */
export interface Item {
  readonly item: string;
  /** After all items that other files add. */
  readonly last?: true;
}

/** The path of an option, with the items of lists by what tells them apart. */
export type Steps = readonly (string | Item)[];

/** Lists a registry without settings of its own. */
export const NO_SETTINGS: unique symbol = Symbol('a map without entries');

/** One value of the new configuration. */
export interface Setting {
  readonly path: Steps;
  readonly value: Scalar | typeof NO_SETTINGS;
  /** What the value was made of. */
  readonly origin: Origin;
  /** Why the value is set, where the origin does not have it: `crproxy's default`. */
  readonly reason?: string;
  /** The default of the other program: gives way to every value that a file has. */
  readonly isDefault?: boolean;
}

/** What a setting is made of, and why. */
export type Why = Pick<Setting, 'origin' | 'reason' | 'isDefault'>;

/** What the configuration of another program becomes: collected by a source, joined with that of others by `compose`. */
export class Draft {
  /** The program, as messages name it. */
  readonly program: string;
  readonly settings: Setting[] = [];
  /** What is not carried over, each with the reason and what to do instead. */
  readonly lost: ConfigProblem[] = [];
  /** What works differently from before. */
  readonly notes: ConfigProblem[] = [];
  /** Values of a wrong type. */
  readonly problems: ConfigProblem[] = [];

  constructor(program: string) {
    this.program = program;
  }

  /** Carries a value over. Without one, does nothing. */
  put(path: Steps, found: Found<Scalar> | undefined): void {
    if (found !== undefined) this.settings.push({ path, value: found.value, origin: found.origin });
  }

  /** Sets what the imported configuration means without saying so. */
  assume(path: Steps, value: Setting['value'], why: Why): void {
    this.settings.push({ path, value, ...why });
  }

  lose(origin: Origin, message: string): void {
    this.lost.push({ ...origin, message });
  }

  note(message: string, origin?: Origin): void {
    this.notes.push({ source: origin?.source, key: origin?.key ?? '', message });
  }

  problem(origin: Origin, message: string): void {
    this.problems.push({ ...origin, message });
  }
}
