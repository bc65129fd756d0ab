import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Telemetry } from '../../telemetry/index.ts';
import type { RoutingOrder, RoutingQuestion } from './contract.ts';
import { PluginError } from './plugin-thread.ts';
import { PAUSE_MS, SupervisedPlugin } from './routing-plugin.ts';

const question = (registry = 'docker.io'): RoutingQuestion => ({
  registry,
  repository: 'library/nginx',
  content: 'blob',
  method: 'GET',
  now: 0,
  upstreams: [],
});

/** A plugin that does as it is told, a clock that is set by hand, and what is published. */
function stage() {
  const world = { now: 1_000_000, asked: 0, does: (): RoutingOrder => ['far'] };
  const warnings: string[] = [];
  const failures: string[] = [];
  const telemetry = new Telemetry();
  telemetry.on('warning', ({ message }) => warnings.push(message));
  telemetry.on('routing.plugin.failed', ({ registry, failure }) => failures.push(`${registry} ${failure}`));
  const plugin = new SupervisedPlugin('/etc/routing.mjs', {
    telemetry,
    now: () => world.now,
    thread: {
      file: '/etc/routing.mjs',
      load: () => Promise.resolve(),
      order: () => {
        world.asked += 1;
        return Promise.try(world.does);
      },
      close: () => {},
    },
  });
  const fail = (message: string) => (): never => {
    throw new PluginError('threw', message);
  };
  return { world, plugin, warnings, failures, fail };
}

describe('SupervisedPlugin', () => {
  test('passes an order on, and no order too', async () => {
    const { plugin, world, warnings } = stage();
    assert.deepEqual(await plugin.order(question()), ['far']);
    world.does = () => undefined;
    assert.equal(await plugin.order(question()), undefined);
    assert.deepEqual(warnings, []);
    assert.deepEqual(plugin.view, { file: '/etc/routing.mjs', state: 'working', failures: 0 });
  });

  test('a failure gives no order, is counted for the registry, and is logged with file, registry and remedy', async () => {
    const { plugin, world, warnings, failures, fail } = stage();
    world.does = fail('threw Error: oh');
    assert.equal(await plugin.order(question('ghcr.io')), undefined);
    assert.deepEqual(failures, ['ghcr.io threw']);
    assert.deepEqual(warnings, [
      'The routing plugin /etc/routing.mjs failed: asked for ghcr.io, it threw Error: oh. Upstreams are asked in the order of the ' +
        'configuration instead. Test it with: entrepot plugin test /etc/routing.mjs',
    ]);
    assert.deepEqual(plugin.view.lastFault, 'threw Error: oh');
  });

  test('three failures in a row pause it for a minute, and one success between them does not', async () => {
    const { plugin, world, warnings, fail } = stage();
    const bad = fail('threw Error: oh');
    for (const does of [bad, bad, () => undefined, bad, bad]) {
      world.does = does;
      await plugin.order(question());
    }
    assert.equal(plugin.view.state, 'working');
    await plugin.order(question());
    assert.deepEqual([plugin.view.state, world.asked], ['paused', 6]);
    assert.match(warnings.at(-1) ?? '', /\(and 3 times since the last warning\).*3 times in a row.*not asked for 60 s/);
    world.does = () => ['far'];
    world.now += PAUSE_MS - 1;
    assert.equal(await plugin.order(question()), undefined);
    world.now += 1;
    assert.deepEqual(await plugin.order(question()), ['far']);
    assert.deepEqual([plugin.view.state, plugin.view.failures], ['working', 5]);
  });

  test('questions that fail by one cause count once in a row, and each as a failure', async () => {
    const { plugin, world } = stage();
    const cause = new PluginError('timeout', 'did not answer within 250 ms');
    world.does = () => {
      throw cause;
    };
    await Promise.all(Array.from({ length: 10 }, () => plugin.order(question())));
    assert.deepEqual([plugin.view.state, plugin.view.failures], ['working', 10]);
  });

  test('the same failure at the same registry is logged once a minute', async () => {
    const { plugin, world, warnings, failures, fail } = stage();
    const bad = fail('threw Error: oh');
    for (let i = 0; i < 100; i += 1) {
      world.does = bad;
      await plugin.order(question(i % 2 === 0 ? 'ghcr.io' : 'quay.io'));
      world.does = () => undefined;
      await plugin.order(question());
    }
    assert.deepEqual([warnings.length, failures.length], [2, 100]);
    world.now += 60_000;
    world.does = bad;
    await plugin.order(question('quay.io'));
    assert.match(warnings[2] ?? '', /failed \(and 49 times since the last warning\): asked for quay\.io/);
  });

  test('a clock that is set back ends a pause, and hides no warning', async () => {
    const { plugin, world, warnings, fail } = stage();
    world.does = fail('threw Error: oh');
    for (let i = 0; i < 3; i += 1) await plugin.order(question());
    world.now -= 86_400_000;
    assert.equal(plugin.view.state, 'working');
    await plugin.order(question());
    assert.equal(warnings.length, 3);
  });

  test('a plugin that was replaced is asked nothing more and blamed for nothing', async () => {
    const { plugin, world, warnings, fail } = stage();
    world.does = fail('was replaced or removed');
    const asked = plugin.order(question());
    plugin.close();
    assert.equal(await asked, undefined);
    assert.equal(await plugin.order(question()), undefined);
    assert.deepEqual([world.asked, warnings.length], [1, 0]);
  });
});
