import type { ConfigProblem, Source } from '../problems.ts';
import { mergeTrees, type Scalar, type Tree, treeOf } from '../tree.ts';
import type { Environment } from './environment.ts';

/*
 * The variables by which every program with OpenTelemetry is configured (opentelemetry.io: "Environment Variable
 * Specification" and "OpenTelemetry Protocol Exporter"), as far as they are about sending traces.
 */

const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const TRACES_ENDPOINT = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
const HEADERS = 'OTEL_EXPORTER_OTLP_HEADERS';
const TRACES_HEADERS = 'OTEL_EXPORTER_OTLP_TRACES_HEADERS';
const PROTOCOL = 'OTEL_EXPORTER_OTLP_PROTOCOL';
const TRACES_PROTOCOL = 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL';

interface OpenTelemetrySettings {
  readonly tree: Tree | undefined;
  readonly notes: readonly ConfigProblem[];
}

/**
 * The section `tracing` as the variables have it.
 *
 * @param isPointed whether `tracing.endpoint` is set elsewhere: then only the name of the service is read, since headers of
 * one collector may be a credential that another must not get
 */
export function readOpenTelemetry(
  env: Environment,
  { isPointed }: { readonly isPointed: boolean },
): OpenTelemetrySettings {
  const service = scalarOf(env, 'service_name', 'OTEL_SERVICE_NAME');
  if (isPointed) return { tree: service, notes: [] };
  const name = firstSet(env, TRACES_ENDPOINT, ENDPOINT);
  if (name === undefined || isTurnedOff(env)) return { tree: undefined, notes: [] };
  const protocol = firstSet(env, TRACES_PROTOCOL, PROTOCOL);
  if (protocol !== undefined && valueOf(env, protocol) === 'grpc') {
    const message = `found grpc: no traces are made, since they are sent over HTTP alone. Set tracing.endpoint to the collector's HTTP port, 4318 by default`;
    return { tree: undefined, notes: [{ source: { kind: 'environment', name: protocol }, key: 'tracing', message }] };
  }
  const parts = [service, scalarOf(env, 'endpoint', name), headersOf(env), sampleOf(env)];
  return { tree: parts.reduce(mergeTrees, undefined), notes: [] };
}

function isTurnedOff(env: Environment): boolean {
  return valueOf(env, 'OTEL_SDK_DISABLED').toLowerCase() === 'true' || valueOf(env, 'OTEL_TRACES_EXPORTER') === 'none';
}

/** `key=value,key=value`, each percent-encoded (W3C Baggage). */
function headersOf(env: Environment): Tree | undefined {
  const name = firstSet(env, TRACES_HEADERS, HEADERS);
  if (name === undefined) return undefined;
  return valueOf(env, name)
    .split(',')
    .flatMap((pair) => {
      const mark = pair.indexOf('=');
      return mark <= 0 ? [] : [leaf(['headers', decoded(pair.slice(0, mark))], name, decoded(pair.slice(mark + 1)))];
    })
    .reduce(mergeTrees, undefined);
}

/** Samplers that decide by a share; the others mean everything or nothing. */
function sampleOf(env: Environment): Tree | undefined {
  const sampler = 'OTEL_TRACES_SAMPLER';
  const kind = valueOf(env, sampler).replace(/^parentbased_/, '');
  if (kind === 'always_off') return leaf(['sample'], sampler, 0);
  const argument = 'OTEL_TRACES_SAMPLER_ARG';
  const text = valueOf(env, argument);
  if (kind !== 'traceidratio' || text === '') return undefined;
  const share = Number(text);
  return leaf(['sample'], argument, Number.isNaN(share) ? text : share);
}

function scalarOf(env: Environment, key: string, name: string): Tree | undefined {
  const text = valueOf(env, name);
  return text === '' ? undefined : leaf([key], name, text);
}

function leaf(path: readonly string[], name: string, value: Scalar): Tree {
  const source: Source = { kind: 'environment', name };
  return treeOf(['tracing', ...path], { kind: 'scalar', source, value });
}

/** The first of these that is set; an empty variable counts as unset (Environment Variable Specification). */
function firstSet(env: Environment, ...names: readonly string[]): string | undefined {
  return names.find((name) => valueOf(env, name) !== '');
}

function valueOf(env: Environment, name: string): string {
  return env[name]?.trim() ?? '';
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return text.trim();
  }
}
