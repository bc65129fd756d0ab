import * as z from 'zod';
import { deadline, label, traceEndpoint } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';
import { headers } from './upstream.ts';

/** Traces: a part of the one definition, see schema.ts. */
export const tracing = options({
  endpoint: traceEndpoint.optional().meta({
    description:
      'Where traces are sent, by OTLP over HTTP as JSON; `/v1/traces` is added unless the path ends in it. By default `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`; without those, no traces are made.',
    examples: ['http://127.0.0.1:4318'],
  }),
  sample: z
    .number()
    .min(0)
    .max(1)
    .register(optionMeta, { type: 'number', expected: 'a share from 0 to 1, such as 0.1' })
    .prefault(1)
    .describe(
      'Share of requests that are traced. A request that a trusted proxy has a trace for is traced as that one is.',
    ),
  headers: headers.prefault({}).describe('Sent with each batch, such as `Authorization`.'),
  service_name: label.prefault('entrepot').describe('`service.name` of the traces.'),
  timeout: deadline
    .prefault('10s')
    .describe('For the collector to answer; then a batch is sent again, four times in all.'),
});
