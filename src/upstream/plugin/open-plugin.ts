import type { Telemetry } from '../../telemetry/index.ts';
import { faultOfPluginFile } from './plugin-file.ts';
import { PluginError } from './plugin-thread.ts';
import { SupervisedPlugin } from './routing-plugin.ts';

/** A plugin that was loaded, or why it cannot be used: a sentence that names its file and the remedy. */
export type OpenedPlugin =
  | { readonly plugin: SupervisedPlugin; readonly fault: undefined }
  | { readonly plugin: undefined; readonly fault: string };

/**
 * Checks the file of a plugin, and loads it in a thread. Close it after use.
 *
 * @param context.now milliseconds since the epoch
 */
export async function openRoutingPlugin(
  file: string,
  context: { readonly telemetry: Telemetry; readonly now: () => number },
): Promise<OpenedPlugin> {
  const fault = await faultOfPluginFile(file);
  if (fault !== undefined) return { plugin: undefined, fault };
  const plugin = new SupervisedPlugin(file, context);
  try {
    await plugin.load();
    return { plugin, fault: undefined };
  } catch (error) {
    plugin.close();
    if (!(error instanceof PluginError)) throw error;
    return { plugin: undefined, fault: `${file} ${error.message}. Test it with: entrepot plugin test ${file}` };
  }
}
