import type { JSX } from 'preact';
import { shortDigest } from '../../format.ts';
import { Prose, Section } from '../../parts/page.tsx';
import { Badge, Bytes, type Tone } from '../../parts/values.tsx';
import { piecesOf, placeIn, type Span, STEPS, spanOf } from '../../waterfall.ts';
import { formats, words } from '../../words/index.ts';
import type { PullDetail } from './one-pull.tsx';

type Request = PullDetail['requestList'][number];

/** The requests of a pull along one time, each with its steps, and what it asked of upstreams. */
export function Waterfall({ pull: { requestList, omitted } }: { readonly pull: PullDetail }): JSX.Element {
  const { pulls: w } = words.value;
  const span = spanOf(requestList);
  return (
    <Section title={w.waterfall} aside={formats.value.duration(span.to - span.from)}>
      <p class="quiet">{w.waterfallText}</p>
      <p class="legend steps">
        {STEPS.map((step) => (
          <span key={step}>
            <span class={`swatch step-${step}`} />
            {w.steps[step]}
          </span>
        ))}
      </p>
      <ol class="falls">
        {requestList.map((request) => (
          <li key={request.id}>
            <Fall request={request} span={span} />
          </li>
        ))}
      </ol>
      {omitted > 0 && <p class="quiet">{w.omitted(formats.value.number(omitted))}</p>}
    </Section>
  );
}

function toneOf({ status, running }: Request): Tone {
  if (running === true) return 'info';
  if (status === 0 || status >= 500) return 'bad';
  return status >= 400 ? 'warn' : 'good';
}

function Fall({ request, span }: { readonly request: Request; readonly span: Span }): JSX.Element {
  const { pulls: w, outcome } = words.value;
  const { duration } = formats.value;
  const { method, kind, reference, status, cache, totalMs, bytes } = request;
  const text = request.running === true ? outcome.running : status === 0 ? w.lost : String(status);
  return (
    <details class="fall">
      <summary>
        <span class="fall-name" title={reference}>
          {method === 'HEAD' && 'HEAD '}
          {w.kinds[kind]} <code>{shortDigest(reference)}</code>
        </span>
        <span class="fall-tags">
          <Badge tone={toneOf(request)} text={text} />
          {cache !== undefined && <Badge tone={cache === 'HIT' ? 'good' : 'quiet'} text={cache} />}
        </span>
        <span class="fall-bar" aria-hidden="true">
          {piecesOf(request, span).map(({ kind: step, start, width }) => (
            <span key={step} class={`step-${step}`} style={{ left: `${start}%`, width: `max(2px, ${width}%)` }} />
          ))}
        </span>
        <span class="fall-time number">{duration(totalMs)}</span>
      </summary>
      <div class="fall-more">
        {request.error !== undefined && <p class="bad">{request.error}</p>}
        <dl class="facts">
          {request.reason !== undefined && <Fact name={w.reason} value={request.reason} />}
          {request.upstream !== undefined && <Fact name={w.upstream} value={request.upstream} />}
          <dt>{w.bytes}</dt>
          <dd>
            <Bytes value={bytes} />
          </dd>
          {piecesOf(request, span).map(({ kind: step, ms }) => (
            <Fact key={step} name={w.steps[step]} value={duration(ms)} />
          ))}
          <Fact name={w.id} value={request.id} />
        </dl>
        {request.asked.length > 0 && <Asked request={request} span={span} />}
      </div>
    </details>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }): JSX.Element {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function Asked({ request: { at, asked }, span }: { readonly request: Request; readonly span: Span }): JSX.Element {
  const { pulls: w } = words.value;
  const { duration, number } = formats.value;
  return (
    <>
      <h3>{w.asked(asked.length, number(asked.length))}</h3>
      <ul class="falls">
        {asked.map(({ purpose, method, url, status, afterMs, durationMs, error }, place) => {
          const { start, width } = placeIn(span, at + afterMs - durationMs, durationMs);
          const title = Object.entries(w.purpose).find(([name]) => name === purpose)?.[1] ?? purpose;
          return (
            <li key={place} class="asked">
              <span class="fall-name" title={`${method} ${url}`}>
                {title} <code>{url}</code>
              </span>
              <span class="fall-tags">
                <Badge
                  tone={status === 0 || status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'good'}
                  text={status === 0 ? w.lost : String(status)}
                />
              </span>
              <span class="fall-bar" aria-hidden="true">
                <span class="step-asked" style={{ left: `${start}%`, width: `max(2px, ${width}%)` }} />
              </span>
              <span class="fall-time number">{duration(durationMs)}</span>
              {error !== undefined && (
                <span class="bad asked-error">
                  <Prose text={error} />
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </>
  );
}
