import type { JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { Icon } from './icons.tsx';
import { Prose } from './page.tsx';

const SETTLE = 250;

/** Of a field for names: what is typed stays as it is. */
export const AS_TYPED = { autocomplete: 'off', autocapitalize: 'none', spellcheck: false } as const;

/** A label, what is filled in, and a hint: `<Field label="Name">{(ids) => <input {...ids} name="name" />}</Field>`. */
export function Field({
  label,
  hint,
  children,
}: {
  readonly label: string;
  readonly hint?: string;
  readonly children: (ids: { readonly id: string; readonly 'aria-describedby': string | undefined }) => JSX.Element;
}): JSX.Element {
  const id = useId();
  const hintId = hint === undefined ? undefined : `${id}-hint`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': hintId })}
      {hint !== undefined && (
        <p id={hintId} class="quiet hint">
          <Prose text={hint} />
        </p>
      )}
    </div>
  );
}

/** A field that calls `change` when its reader has paused, and at once at Enter. */
export function TextField(props: FieldProps & { readonly hint: string; readonly placeholder: string }): JSX.Element {
  return (
    <Field label={props.label} hint={props.hint}>
      {(ids) => <SettlingInput {...props} {...ids} type="text" />}
    </Field>
  );
}

/** As `TextField`, for what is searched. */
export function SearchField(props: FieldProps): JSX.Element {
  return (
    <Field label={props.label}>
      {(ids) => (
        <span class="search">
          <Icon name="search" size={16} />
          <SettlingInput {...props} {...ids} type="search" />
        </span>
      )}
    </Field>
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
  readonly 'aria-describedby'?: string | undefined;
}

function SettlingInput({
  id,
  type,
  value,
  change,
  placeholder = '',
  'aria-describedby': hintId,
}: InputProps): JSX.Element {
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
      {...AS_TYPED}
      aria-describedby={hintId}
      onInput={() => send(SETTLE)}
      onKeyDown={(event) => event.key === 'Enter' && send(0)}
    />
  );
}

/** A choice; in a form, by its `name`. */
export function SelectField<Value extends string>({
  label,
  hint,
  ...select
}: SelectProps<Value> & { readonly label: string; readonly hint?: string }): JSX.Element {
  return (
    <Field label={label} {...(hint !== undefined && { hint })}>
      {(ids) => <Select {...ids} {...select} />}
    </Field>
  );
}

interface SelectProps<Value extends string> {
  readonly id?: string;
  readonly name?: string;
  readonly value: Value;
  readonly options: readonly (readonly [value: Value, title: string])[];
  readonly change?: (value: Value) => void;
  readonly 'aria-label'?: string;
  readonly 'aria-describedby'?: string | undefined;
}

export function Select<Value extends string>({ value, options, change, ...rest }: SelectProps<Value>): JSX.Element {
  return (
    <select {...rest} value={value} onChange={(event) => change?.(event.currentTarget.value as Value)}>
      {options.map(([each, title]) => (
        <option key={each} value={each} selected={each === value}>
          {title}
        </option>
      ))}
    </select>
  );
}
