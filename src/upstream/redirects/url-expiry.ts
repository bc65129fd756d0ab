/** Parameters that name the second in which a signed URL expires: S3 before version 4, GCS, OSS, CloudFront. */
const SECONDS = 'expires';
/** Azure: a date. */
const DATE = 'se';
/** Cloudflare: seconds, `-`, and the signature. */
const CLOUDFLARE = 'verify';
/** S3 and R2, GCS, OSS: when it was signed, and for how many seconds. */
const SIGNED = /^(x-(?:amz|goog|oss)-)expires$/;

/**
 * When a URL expires, in milliseconds since the epoch, as the common forms of signed URLs say; undefined where it says nothing
 * that can be read. The clock is the signer's.
 */
export function statedExpiry(url: URL): number | undefined {
  const params = new Map([...url.searchParams].map(([name, value]) => [name.toLowerCase(), value]));
  const stated = [...params].map(([name, value]) => {
    const prefix = SIGNED.exec(name)?.[1];
    if (prefix !== undefined) return sum(compactDate(params.get(`${prefix}date`)), seconds(value));
    if (name === SECONDS) return seconds(value);
    if (name === DATE) return Date.parse(value);
    return name === CLOUDFLARE ? seconds(/^(\d+)-/.exec(value)?.[1]) : undefined;
  });
  const readable = stated.filter((each) => each !== undefined && !Number.isNaN(each)) as readonly number[];
  return readable.length === 0 ? undefined : Math.min(...readable);
}

function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,11}$/.test(text) ? Number(text) * 1000 : undefined;
}

/** `20260131T235959Z` */
function compactDate(text: string | undefined): number | undefined {
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '')?.slice(1);
  if (parts === undefined) return undefined;
  const [year, month, day, hour, minute, second] = parts;
  return Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function sum(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one + other;
}
