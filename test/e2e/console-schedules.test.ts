import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needsBrowser, openBrowser, overflowOf, seriousFindings } from '../support/browser.ts';
import { ConsolePage } from '../support/console-page.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { startPairOf } from '../support/pair.ts';
import { Gate } from '../support/scripted/faults.ts';

// The schedules on the first view of the console, for who may start them and who may not.

test('the console shows schedules and their last runs, and starts them', needsBrowser(), async () => {
  const image = buildImage({ seed: 'console schedules', layers: [10_000], architectures: ['amd64'] });
  const long = 'a-name-that-is-as-long-as-names-of-schedules-may-be-and-does-not-break-the-page-on-a-phone';
  const warm = [
    { name: 'nightly', images: ['up/team/app'], schedule: '0 3 * * *', time_zone: 'Europe/Berlin' },
    { name: long, images: ['up/team/gone:1', 'up/team/app'], schedule: 'every 6h' },
  ];
  await using pair = await startPairOf({ image, repository: 'team/app', config: { warm } });
  const { mirror, upstream } = pair;
  await using browser = await openBrowser();
  await using opened = await ConsolePage.open(browser, mirror);
  const card = opened.section('Schedules');
  const row = (name: string) => card.getByRole('listitem').filter({ hasText: name });
  await row('nightly').getByText('1 image').waitFor();
  await row('nightly')
    .getByText(/^next run in /)
    .waitFor();

  const gate = new Gate();
  upstream.fault(platformOf(image, 'amd64').layers[0]?.digest ?? '', { stallAt: 100, stallGate: gate });
  await opened.button('Run now: nightly').click();
  await row('nightly').getByText('Runs', { exact: true }).waitFor();
  assert.equal(await opened.button('Run now: nightly').count(), 0);
  gate.open();
  await row('nightly').getByText('Done', { exact: true }).waitFor();
  await opened.button(`Run now: ${long}`).click();
  await row(long).getByText('Failed', { exact: true }).waitFor();
  await row(long)
    .getByText(/up\/team\/gone:1: /)
    .waitFor();
  assert.deepEqual(await seriousFindings(opened.page), []);

  await using reader = await ConsolePage.open(browser, mirror, { operator: false, width: 390, language: 'zh' });
  await reader.section('定时任务').getByText('失败', { exact: true }).waitFor();
  assert.equal(await reader.button(/立即运行/).count(), 0);
  assert.equal(await overflowOf(reader.page), 0);
});

test('the console shows what is being copied, as it happens, and stops it', needsBrowser(), async () => {
  const image = buildImage({ seed: 'console copies', layers: [10_000], architectures: ['amd64'] });
  const copy = [{ name: 'hot', images: [{ from: 'up/team/app', to: 'apps/app' }], schedule: '@daily' }];
  await using pair = await startPairOf({ image, repository: 'team/app' });
  const { mirror, upstream } = pair;
  const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] }, apps: { hosted: true } };
  assert.equal((await mirror.reload({ registries, copy })).outcome, 'changed');
  await using browser = await openBrowser();
  await using opened = await ConsolePage.open(browser, mirror);
  const gate = new Gate();
  upstream.fault(platformOf(image, 'amd64').layers[0]?.digest ?? '', { stallAt: 100, stallGate: gate });
  await opened.button('Run now: hot').click();
  const jobs = opened.section('Copying');
  await jobs.getByText('apps/app:latest').waitFor();
  await gate.arrived();
  await jobs.getByRole('button', { name: 'Stop' }).click();
  await jobs.getByText('Stopped', { exact: true }).waitFor();
  await opened.section('Schedules').getByText('Stopped', { exact: true }).waitFor();
  gate.open();
  await opened.button('Run now: hot').click();
  await jobs.getByText('Done', { exact: true }).waitFor();
  assert.equal(await jobs.getByRole('listitem').count(), 2);
  assert.deepEqual(await seriousFindings(opened.page), []);

  await using reader = await ConsolePage.open(browser, mirror, { operator: false, width: 390, language: 'zh' });
  await reader.section('正在复制').getByText('完成', { exact: true }).waitFor();
  assert.equal(await reader.button('停止').count(), 0);
  assert.equal(await overflowOf(reader.page), 0);
});
