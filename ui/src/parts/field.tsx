import type { JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';

const SETTLE = 250;

/** A search field. It calls `change` when its reader has paused, and at once at Enter. */
export function SearchField({
  label,
  value,
  change,
}: {
  readonly label: string;
  readonly value: string;
  readonly change: (value: string) => void;
}): JSX.Element {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  // The address may change by "back"; what is being typed stays.
  useEffect(() => {
    if (input.current !== null && document.activeElement !== input.current) input.current.value = value;
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const send = (delay: number): void => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change(input.current?.value.trim() ?? ''), delay);
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <span class="search">
        <Icon name="search" size={16} />
        <input
          id={id}
          ref={input}
          type="search"
          defaultValue={value}
          autocomplete="off"
          spellcheck={false}
          onInput={() => send(SETTLE)}
          onKeyDown={(event) => event.key === 'Enter' && send(0)}
        />
      </span>
    </div>
  );
}

export function SelectField<Value extends string>({
  label,
  value,
  options,
  change,
}: {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly (readonly [value: Value, title: string])[];
  readonly change: (value: Value) => void;
}): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => change(event.currentTarget.value as Value)}>
        {options.map(([each, title]) => (
          <option key={each} value={each}>
            {title}
          </option>
        ))}
      </select>
    </div>
  );
}
