import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { type Answer, change } from '../../api.ts';
import { Skeleton } from '../../parts/feedback.tsx';
import { Icon, type IconName } from '../../parts/icons.tsx';
import { Note } from '../../parts/note.tsx';
import { Prose } from '../../parts/page.tsx';
import { Badge, Duration } from '../../parts/values.tsx';
import { textOf } from '../../reason.ts';
import { formats, words } from '../../words/index.ts';

type Check = Answer<'registryCheck'>;
type Step = Check['targets'][number]['steps'][number];

const ICONS: Readonly<Record<Step['outcome'], IconName>> = { ok: 'check', warning: 'warning', failed: 'cross' };

/** What one check found. */
export interface CheckState {
  readonly running: boolean;
  readonly answer: Check | undefined;
  readonly error: string | undefined;
  readonly tookMs: number;
}

export function useCheck(name: string): { readonly state: CheckState | undefined; readonly run: () => void } {
  const state = useSignal<CheckState | undefined>(undefined);
  const run = (): void => {
    if (state.value?.running === true) return;
    const startedAt = performance.now();
    state.value = { running: true, answer: undefined, error: undefined, tookMs: 0 };
    const end = (found: Partial<CheckState>): void => {
      const tookMs = performance.now() - startedAt;
      state.value = { running: false, answer: undefined, error: undefined, ...found, tookMs };
    };
    change('registryCheck', { name }).then(
      (answer) => end({ answer }),
      (reason: unknown) => end({ error: textOf(reason) }),
    );
  };
  return { state: state.value, run };
}

/** The steps of a check, each with its finding, and its remedy where it did not pass. */
export function CheckSteps({ state }: { readonly state: CheckState }): JSX.Element {
  const { registries: w } = words.value;
  if (state.running) {
    return (
      <div role="status">
        <p class="quiet">{w.checking}</p>
        <Skeleton />
      </div>
    );
  }
  if (state.error !== undefined) return <Note text={state.error} bad />;
  return (
    <div class="check-result" role="status">
      {(state.answer?.targets ?? []).map(({ registry, upstream, ok, steps }) => (
        <div key={`${registry} ${upstream}`}>
          <p class="check-title">
            <strong>{upstream}</strong>
            <Badge tone={ok ? 'good' : 'bad'} text={ok ? w.reachable : w.unreachable} />
          </p>
          <ol class="steps">
            {steps.map((step, at) => (
              <StepRow key={`${step.step} ${at}`} step={step} />
            ))}
          </ol>
        </div>
      ))}
      <p class="quiet">{w.checked(formats.value.duration(state.tookMs))}</p>
    </div>
  );
}

function StepRow({ step: { step, outcome, durationMs, summary, remedy } }: { readonly step: Step }): JSX.Element {
  const { registries: w } = words.value;
  return (
    <li class={`step step-${outcome}`}>
      <span class="step-mark" title={w.outcome[outcome]}>
        <Icon name={ICONS[outcome]} size={16} />
        <span class="hidden">{w.outcome[outcome]}</span>
      </span>
      <span class="step-name">{w.steps[step as keyof typeof w.steps] ?? step}</span>
      <span class="step-text">
        <Prose text={summary} />
        {remedy !== undefined && (
          <span class="step-remedy">
            <Prose text={remedy} />
          </span>
        )}
      </span>
      <Duration ms={durationMs} />
    </li>
  );
}
