import { formatKey, formatSource } from '../problems.ts';
import { type LoadedConfig, loadYaml } from '../read/index.ts';
import { configSchema, isEmptyMap, redactAll } from '../schema/index.ts';
import { isNull, type Path, treeAt } from '../tree.ts';
import { effective } from './effective.ts';

/** One option in effect. */
interface ShownOption {
  /** `cache.max_size`, `registries["ghcr.io"].upstreams[0].url` */
  readonly name: string;
  /** As YAML on one line; secrets are masked. */
  readonly value: string;
  /** `default`, `entrepot.yaml:3:1`, the name of a variable, or a flag. */
  readonly from: string;
}

/** Every option in effect with its value and where that comes from, in the order of the definition. Secrets are masked. */
export async function listOptions(loaded: Pick<LoadedConfig, 'config' | 'settings'>): Promise<readonly ShownOption[]> {
  const yaml = await loadYaml();
  const shown: ShownOption[] = [];
  function visit(value: unknown, path: Path): void {
    const inner = entriesOf(value);
    for (const [key, each] of inner) visit(each, [...path, key]);
    if (inner.length > 0 || path.length === 0) return;
    const written = treeAt(loaded.settings, path);
    // A key without a value means its default; a registry without one is listed without settings.
    const isDefault = written === undefined || (isNull(written) && !isEmptyMap(value));
    shown.push({
      name: formatKey(path),
      value: yaml.stringify(value, { lineWidth: 0, collectionStyle: 'flow', defaultStringType: 'PLAIN' }).trimEnd(),
      from: isDefault ? 'default' : formatSource(written.source),
    });
  }
  visit(redactAll(configSchema, effective(loaded)), []);
  return shown;
}

function entriesOf(value: unknown): readonly (readonly [string | number, unknown])[] {
  if (Array.isArray(value)) return value.map((each, index) => [index, each]);
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
