import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { goTool, needsGoTools } from './go-tools.ts';
import { Workspace } from './processes.ts';

describe('needsGoTools()', () => {
  const kept = { ...process.env };
  let workspace: Workspace;
  let withGo: string;

  before(async () => {
    workspace = await Workspace.open();
    const go = await workspace.file('bin/go', '#!/bin/sh\n');
    await chmod(go, 0o755);
    withGo = dirname(go);
  });
  beforeEach(() => {
    process.env = { PATH: workspace.path('nothing'), TEST_TOOLS: workspace.path('tools') };
  });
  after(async () => {
    process.env = kept;
    await workspace.close();
  });

  test('skips a test whose tool was not built, and says how to build it', () => {
    process.env['PATH'] = withGo;
    assert.deepEqual(needsGoTools('crane'), { skip: 'needs crane: bin/pinned-node scripts/go-tools.ts crane' });
  });

  test('says how to get Go where it is missing, in CI too', () => {
    process.env['CI'] = 'true';
    assert.match(needsGoTools('crane', 'oras').skip ?? '', /install Go 1\.\d+ or newer .* crane oras$/);
  });

  test('demands the tool in CI where Go is there, unless it could not be built', () => {
    Object.assign(process.env, { CI: 'true', PATH: withGo });
    assert.throws(() => needsGoTools('crane'), /In CI every test runs, but one needs crane/);
    process.env['TEST_WITHOUT'] = 'hf,go';
    assert.notEqual(needsGoTools('crane').skip, undefined);
  });

  test('runs a test whose tool is there', async () => {
    await workspace.file(goTool('crane').slice(workspace.dir.length + 1), '#!/bin/sh\n');
    await chmod(goTool('crane'), 0o755);
    assert.deepEqual(needsGoTools('crane'), {});
  });
});
