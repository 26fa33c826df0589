import { readdirSync, readFileSync } from 'node:fs';

interface Process {
  id: number;
  parent: number;
  command: string;
  residentBytes: number;
}

function readProcess(id: number): Process | undefined {
  try {
    const status = readFileSync(`/proc/${id}/status`, 'utf8');
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
    return {
      id,
      parent: field('PPid'),
      command: readFileSync(`/proc/${id}/cmdline`, 'utf8'),
      residentBytes: field('VmRSS') * 1024,
    };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

/**
 * Resident memory of a browser and all its processes, summed: what they share counts several times. Linux only.
 * @param profile the folder it was started with
 */
export function residentBytes(profile: string): number {
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
  const family = new Set(
    processes.filter(({ command }) => command.includes(`--user-data-dir=${profile}`)).map(({ id }) => id),
  );
  for (let before = -1; before !== family.size;) {
    before = family.size;
    for (const { id, parent } of processes) if (family.has(parent)) family.add(id);
  }
  return processes.reduce((sum, { id, residentBytes: bytes }) => sum + (family.has(id) ? bytes : 0), 0);
}

/** Runs something and tells the most that a measure came to meanwhile. */
export async function peakWhile<T>(
  measure: () => number,
  work: () => Promise<T>,
): Promise<{ result: T; peak: number }> {
  let peak = measure();
  const timer = setInterval(() => (peak = Math.max(peak, measure())), 200);
  try {
    const result = await work();
    return { result, peak: Math.max(peak, measure()) };
  } finally {
    clearInterval(timer);
  }
}
