import type { StepReport, UpstreamReport } from '../check/index.ts';
import { type Finding, failed, ok, warning } from './finding.ts';

/** One line where an upstream is well; else a finding for each step that is not. */
export function upstreamFindings(report: UpstreamReport): readonly Finding[] {
  const { url, steps, durationMs } = report;
  const what = nameOf(report);
  const troubled = steps.filter(({ outcome }) => outcome !== 'ok');
  if (troubled.length > 0) return troubled.map((step) => stepFinding(what, step));
  return [ok({ id: 'upstream.reachable', what, found: `${url} answers, in ${Math.round(durationMs)} ms` })];
}

/** The registry or route, and the upstream where the operator named it. */
export function nameOf({ name, upstream, url }: Pick<UpstreamReport, 'name' | 'upstream' | 'url'>): string {
  return upstream === name || upstream === URL.parse(url)?.host ? name : `${name} (${upstream})`;
}

function stepFinding(what: string, { step, outcome, summary, remedy }: StepReport): Finding {
  const about = { id: `upstream.${step}`, what, found: summary } as const;
  const words = remedy ?? 'See docs/check.md for what this step shows.';
  return outcome === 'failed' ? failed(about, words) : warning(about, words);
}
