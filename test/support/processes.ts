import { readdirSync, readFileSync } from 'node:fs';

interface Process {
  id: number;
  parent: number;
  command: string;
  residentBytes: number;
  cpuSeconds: number;
}

/** What Linux counts processor time in. */
const TICKS_PER_SECOND = 100;

/** `utime` and `stime`: the 14th and 15th field. The second is a name that may have spaces. */
function ticksOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
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
      cpuSeconds: ticksOf(readFileSync(`/proc/${id}/stat`, 'utf8')) / TICKS_PER_SECOND,
    };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}

/** All processes of the browser that was started with this profile folder. */
function processesOf(profile: string): Process[] {
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
  return processes.filter(({ id }) => family.has(id));
}

/**
 * Resident memory of a browser and all its processes, summed: what they share counts several times. Linux only.
 * @param profile the folder it was started with
 */
export function residentBytes(profile: string): number {
  return processesOf(profile).reduce((sum, process) => sum + process.residentBytes, 0);
}

/** Chromium's names of its processes. */
type ProcessType = 'renderer' | 'gpu-process';

const isOfType = ({ command }: Process, type: ProcessType) => command.includes(`--type=${type}`);

/** Resident memory of the largest of a browser's processes of a type. */
export function residentBytesOf(profile: string, type: ProcessType): number {
  const own = processesOf(profile).filter((process) => isOfType(process, type));
  return Math.max(0, ...own.map(({ residentBytes: bytes }) => bytes));
}

/** Processor time that a browser's processes of a type have taken so far. */
export function cpuSeconds(profile: string, type: ProcessType): number {
  const own = processesOf(profile).filter((process) => isOfType(process, type));
  return own.reduce((sum, process) => sum + process.cpuSeconds, 0);
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
