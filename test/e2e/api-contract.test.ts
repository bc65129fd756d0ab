import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { buildImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { needs, run, Workspace } from '../support/processes.ts';
import { rawRequest } from '../support/raw-request.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

/** Seconds of requests that schemathesis makes up. */
const SECONDS = process.env['CI'] ? 120 : 40;

describe('the API holds what its OpenAPI document says', needs('schemathesis'), () => {
  let workspace: Workspace;
  let entrepot: RunningEntrepot;

  before(async () => {
    workspace = await Workspace.open();
    const upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    const image = buildImage({ seed: 'contract' });
    upstream.add(image, 'acme/app', ['latest']);
    const htpasswd = workspace.path('htpasswd');
    await writeFile(htpasswd, htpasswdOf('tester'));
    entrepot = await startEntrepot(workspace, {
      // No request that is made up leaves this machine.
      known_registries: false,
      default_registry: 'plain',
      registries: { plain: { upstreams: [upstream.url] } },
      log: { level: 'info', format: 'json', access: false },
      access: {
        htpasswd,
        rules: [
          { who: 'tester', may: ['status', 'admin'] },
          { who: 'tester', may: ['pull', 'catalog'], on: ['plain/**'] },
        ],
      },
    });
    const path = '/v2/acme/app/manifests/latest';
    assert.equal((await rawRequest(entrepot.host, { path, headers: basic('tester') })).status, 200);
  });
  after(() => workspace.close());

  test('to requests that schemathesis makes up of it', async () => {
    const checks = [
      'not_a_server_error',
      'status_code_conformance',
      'content_type_conformance',
      'response_headers_conformance',
      'response_schema_conformance',
      'negative_data_rejection',
      'unsupported_method',
      'allow_header_conformance',
    ];
    const options = {
      '--auth': 'tester:tester-pw',
      '--checks': checks.join(','),
      '--phases': 'coverage,fuzzing',
      '--max-time': String(SECONDS),
      '--seed': '1',
      '--exclude-path': '/api/v1/events',
      '--warnings': 'off',
    };
    // A query that is longer than a head may be is refused as such.
    const refusals = '[400, 401, 403, 404, 405, 413, 415, 421, 422, 429, 431]';
    await workspace.file('schemathesis.toml', `[checks.negative_data_rejection]\nexpected-statuses = ${refusals}\n`);
    const url = `${entrepot.url}/api/openapi.json`;
    const inWorkspace = ['sh', '-c', 'cd "$0" && exec "$@"', workspace.dir];
    const flags = ['--continue-on-failure', '--no-color', ...Object.entries(options).flat()];
    const command = [...inWorkspace, 'schemathesis', 'run', url, ...flags];
    const { code, stdout, stderr } = await run(
      // It leaves files where it runs. A stream of events has no end.
      command,
      { timeout: (SECONDS + 60) * 1000, env: { ...process.env, no_proxy: '*' } },
    );
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /Tested: [3-9]\d/);
    assert.deepEqual(
      entrepot.logs().filter(({ msg }) => msg.startsWith('Cannot answer')),
      [],
    );
  });
});
