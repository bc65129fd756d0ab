/** One link of a `Link` header. */
export interface HeaderLink {
  /** The URI reference between `<` and `>`, as it was written. */
  readonly target: string;
  /** Where the target begins in the header. */
  readonly index: number;
  /** Relation types, in lower case. Those of another context (`anchor`) are none of this link's. */
  readonly relations: readonly string[];
}

/** Links that are read of one header; a registry sends one, a site a dozen or a hundred. */
const MAX_LINKS = 1000;

const TARGET = /[\s,]*<([^<>]*)>/y;
// The value is a token or a quoted string, in which , and ; are text and \ escapes (RFC 8288 §3, RFC 9110 §5.6.4).
const PARAMETER = /\s*;\s*(?:([^\s;,="<>]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"<>]*)))?)?/y;
const JUNK = /(?:"(?:[^"\\]|\\.)*"|[^",])*(?:,|$|")/y;

/**
 * The links of a `Link` header (RFC 8288 §3 and appendix B.2): parameters in any order, quoted or not, of which the first `rel`
 * counts; several relations in one `rel`; several links, also of several headers joined by commas. What cannot be read is
 * skipped up to the next comma.
 */
export function parseLinks(header: string): readonly HeaderLink[] {
  const links: HeaderLink[] = [];
  let at = 0;
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match !== null) at = pattern.lastIndex;
    return match;
  };
  while (at < header.length && links.length < MAX_LINKS) {
    const found = next(TARGET);
    if (found !== null) {
      const target = found[1] ?? '';
      const index = at - target.length - 1;
      const parameters = new Map<string, string>();
      for (let match = next(PARAMETER); match !== null; match = next(PARAMETER)) {
        const [, name = '', quoted, token = ''] = match;
        const key = name.toLowerCase();
        if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? token);
      }
      const rel = parameters.has('anchor') ? '' : (parameters.get('rel') ?? '');
      links.push({ target, index, relations: rel.toLowerCase().split(/\s+/).filter(Boolean) });
    }
    next(JUNK);
  }
  return links;
}
