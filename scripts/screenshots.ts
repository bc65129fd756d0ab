/**
 * Pictures of every view of the console, at two widths, in both colour schemes and languages, for a person to look at:
 * `sh bin/pinned-node --disable-warning=ExperimentalWarning scripts/screenshots.ts [part of the name …]`. They are written into
 * .bench/screenshots, with a server that has something to see. It ends with 1 where a page complained or scrolls sideways.
 */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { openBrowser, overflowOf } from '../test/support/browser.ts';
import { ConsolePage } from '../test/support/console-page.ts';
import { placesOf } from '../test/support/console-places.ts';
import { startLivelyStage } from '../test/support/console-stage.ts';
import { Workspace } from '../test/support/processes.ts';

const FOLDER = fileURLToPath(new URL('../.bench/screenshots', import.meta.url));
const wanted = process.argv.slice(2);

await mkdir(FOLDER, { recursive: true });
await using workspace = await Workspace.open();
const stage = await startLivelyStage(workspace);
await using browser = await openBrowser();
let taken = 0;
for (const language of ['en', 'zh'] as const) {
  for (const scheme of ['light', 'dark'] as const) {
    for (const width of [1280, 390] as const) await takeAll({ language, scheme, width });
  }
}
console.log(`${taken} pictures in ${FOLDER}`);

async function takeAll(view: {
  readonly language: 'en' | 'zh';
  readonly scheme: 'light' | 'dark';
  readonly width: 1280 | 390;
}): Promise<void> {
  const places = placesOf(stage).map((place) => ({
    ...place,
    file: `${place.name}-${view.width}-${view.scheme}-${view.language}.png`,
  }));
  const chosen = places.filter(({ file }) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
  if (chosen.length === 0) return;
  await using console_ = await ConsolePage.open(browser, stage.entrepot, { ...view, provokes: [/status of 404/] });
  for (const { place, act, file } of chosen) {
    await console_.goto(place);
    await console_.settled();
    await act?.(console_);
    const overflow = await overflowOf(console_.page);
    if (overflow > 0) {
      console.error(`${file} is ${overflow} px wider than its window`);
      process.exitCode = 1;
    }
    await console_.page.screenshot({ path: `${FOLDER}/${file}`, fullPage: act === undefined });
    taken += 1;
  }
}
