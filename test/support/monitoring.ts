import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import * as z from 'zod';

/*
 * What deploy/ offers to those who watch a server: the alerts for Prometheus, and the queries of the dashboard for Grafana.
 */

const root = fileURLToPath(new URL('../../', import.meta.url));

export const RULES_FILE = `${root}deploy/prometheus/entrepot.rules.yml`;
export const RULES_TEST_FILE = `${root}deploy/prometheus/entrepot.rules.test.yml`;
export const DASHBOARD_FILE = `${root}deploy/grafana/entrepot.json`;

const rulesSchema = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.strictObject({
          alert: z.string(),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.strictObject({ severity: z.enum(['critical', 'warning', 'info']) }),
          annotations: z.strictObject({ summary: z.string(), description: z.string(), runbook: z.string() }),
        }),
      ),
    }),
  ),
});

const dashboardSchema = z.object({
  uid: z.string(),
  templating: z.object({ list: z.array(z.object({ name: z.string() })) }),
  annotations: z.object({ list: z.array(z.object({ name: z.string(), expr: z.string() })) }),
  panels: z.array(
    z.object({
      id: z.number(),
      type: z.string(),
      title: z.string(),
      description: z.string().optional(),
      gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
      targets: z.array(z.object({ refId: z.string(), expr: z.string() })).default([]),
    }),
  ),
});

export type Rule = z.output<typeof rulesSchema>['groups'][number]['rules'][number];

export function readRules(): readonly Rule[] {
  return rulesSchema.parse(parse(readFileSync(RULES_FILE, 'utf8'))).groups.flatMap(({ rules }) => rules);
}

export function readDashboard(): z.output<typeof dashboardSchema> {
  return dashboardSchema.parse(JSON.parse(readFileSync(DASHBOARD_FILE, 'utf8')));
}

/** A query, and where it stands. */
export interface Query {
  readonly where: string;
  /** Ready to be asked: Grafana's variables have values. */
  readonly expr: string;
}

/** Every expression of the rules and the dashboard. Ranges that Grafana chooses are five minutes. */
export function queries(): readonly Query[] {
  const { panels, annotations } = readDashboard();
  const shown = [
    ...panels.flatMap(({ title, targets }) => targets.map(({ refId, expr }) => ({ where: `${title} ${refId}`, expr }))),
    ...annotations.list.map(({ name, expr }) => ({ where: `annotation ${name}`, expr })),
  ];
  return [
    ...readRules().map(({ alert, expr }) => ({ where: alert, expr })),
    ...shown.map(({ where, expr }) => ({
      where,
      expr: expr.replaceAll(/\$__(?:rate_interval|range)\b/g, '5m').replaceAll(/\$(?:instance|registry)\b/g, '.*'),
    })),
  ];
}

/** The metrics that an expression reads, samples of histograms by the name of their histogram. */
export function metricsIn(expr: string): readonly string[] {
  const names = expr.match(/\bentrepot_[a-z0-9_]+/g) ?? [];
  return names.map((name) => name.replace(/_seconds_(?:bucket|sum|count)$/, '_seconds'));
}
