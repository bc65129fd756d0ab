/** What is not seen: control and format characters, those without a meaning, surrogates, fillers, and the blank of Braille. */
const INVISIBLE = /[\p{C}\p{Default_Ignorable_Code_Point}\u2800]/u;

/** Why a name may look like another that it is not, with the remedy; undefined where it looks like itself alone. Pure. */
export function faultOfLook(name: string): string | undefined {
  const code = INVISIBLE.exec(name)?.[0].codePointAt(0);
  if (code !== undefined) {
    return `it has an invisible character (U+${code.toString(16).toUpperCase().padStart(4, '0')}); leave it out`;
  }
  const composed = name.normalize('NFC');
  if (composed === name) return undefined;
  return `it is not in the form NFC of Unicode, and would look like another name; write ${composed}, which is`;
}
