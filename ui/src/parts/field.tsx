import type { JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';

const SETTLE = 250;

/** A field that calls `change` when its reader has paused, and at once at Enter. */
export function TextField(props: FieldProps & { readonly hint: string; readonly placeholder: string }): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <SettlingInput {...props} id={id} type="text" hintId={`${id}-hint`} />
      <p id={`${id}-hint`} class="quiet hint">
        {props.hint}
      </p>
    </div>
  );
}

/** As `TextField`, for what is searched. */
export function SearchField(props: FieldProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <span class="search">
        <Icon name="search" size={16} />
        <SettlingInput {...props} id={id} type="search" />
      </span>
    </div>
  );
}

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly change: (value: string) => void;
}

interface InputProps extends Pick<FieldProps, 'value' | 'change'> {
  readonly id: string;
  readonly type: 'search' | 'text';
  readonly placeholder?: string;
  readonly hintId?: string;
}

function SettlingInput({ id, type, value, change, placeholder = '', hintId }: InputProps): JSX.Element {
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
    <input
      id={id}
      ref={input}
      type={type}
      defaultValue={value}
      placeholder={placeholder}
      autocomplete="off"
      autocapitalize="none"
      spellcheck={false}
      aria-describedby={hintId}
      onInput={() => send(SETTLE)}
      onKeyDown={(event) => event.key === 'Enter' && send(0)}
    />
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
