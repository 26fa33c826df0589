/** URL parameters that identify the user; a signature is valid for some minutes. */
const SECRET = /token|key|secret|auth|passw|signature|^sig$|credential|expires|policy|^x-amz-|^x-goog-/i;

/** An address as people may see it in titles, credits, listings and logs: without user name, query and fragment. */
export function publicAddress(address: string): string {
  return address.replace(/[?#].*$/s, '').replace(/^(\w+:\/\/)[^/]*@/, '$1');
}

/** The same for the same file, whoever requests it: without keys and signatures. */
export function fileAddress(address: string): string {
  if (!URL.canParse(address)) return address;
  const url = new URL(address);
  for (const name of new Set(url.searchParams.keys())) if (SECRET.test(name)) url.searchParams.delete(name);
  return `${publicAddress(address)}${url.search}`;
}

/** A part of an address as text; unchanged if it is not properly encoded. */
export function decodePathPart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
