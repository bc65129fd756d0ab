import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConfigError } from '../problems.ts';
import { type LoadedConfig, loadConfig } from './load.ts';

function load(env: Record<string, string>, config = '{}'): Promise<LoadedConfig> {
  return loadConfig({ env: { ENTREPOT_CONFIG: config, ...env }, cwd: '/' });
}

const OFF = { endpoint: undefined, sample: 1, headers: {}, serviceName: 'entrepot', timeout: 10_000 };

describe('the variables of OpenTelemetry', () => {
  test('point to the collector', async () => {
    const { config } = await load({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YTpi, x-tenant = team=1,broken,=none',
      OTEL_SERVICE_NAME: 'mirror-eu',
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    });
    assert.deepEqual(config.tracing, {
      endpoint: 'http://collector:4318/v1/traces',
      headers: { authorization: 'Basic YTpi', 'x-tenant': 'team=1' },
      serviceName: 'mirror-eu',
      sample: 0.25,
      timeout: 10_000,
    });
  });

  test('may have an endpoint for traces alone', async () => {
    const { config } = await load({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b:4318/v1/traces',
    });
    assert.equal(config.tracing.endpoint, 'http://b:4318/v1/traces');
  });

  test('give way to the configuration, and their headers go to no other collector', async () => {
    const { config } = await load(
      {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret',
        OTEL_SERVICE_NAME: 'mirror-eu',
      },
      '{tracing: {endpoint: "https://b/otlp", sample: 0.5}}',
    );
    assert.deepEqual(config.tracing, {
      ...OFF,
      endpoint: 'https://b/otlp/v1/traces',
      sample: 0.5,
      serviceName: 'mirror-eu',
    });
  });

  for (const [what, env] of Object.entries<Record<string, string>>({
    'without an endpoint': { OTEL_EXPORTER_OTLP_HEADERS: 'a=b', OTEL_TRACES_SAMPLER: 'always_on' },
    'with an empty one': { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' },
    'where OpenTelemetry is disabled': { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318', OTEL_SDK_DISABLED: 'true' },
    'where traces are': { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318', OTEL_TRACES_EXPORTER: 'none' },
  }))
    test(`turn nothing on ${what}`, async () => {
      const { endpoint } = (await load(env)).config.tracing;
      assert.equal(endpoint, undefined);
    });

  test('with gRPC are noted and turn nothing on: they may be for other programs', async () => {
    const { config, layerNotes } = await load({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4317',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    });
    assert.equal(config.tracing.endpoint, undefined);
    assert.match(String(layerNotes[0]?.message), /grpc.*4318/);
  });

  test('are named where they are wrong', async () => {
    await assert.rejects(
      load({
        OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
        OTEL_TRACES_SAMPLER: 'traceidratio',
        OTEL_TRACES_SAMPLER_ARG: 'half',
      }),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.match(error.message, /OTEL_EXPORTER_OTLP_ENDPOINT +tracing\.endpoint: .*expected an http:\/\//);
        assert.match(error.message, /OTEL_TRACES_SAMPLER_ARG +tracing\.sample: .*expected a share/);
        return true;
      },
    );
  });
});
