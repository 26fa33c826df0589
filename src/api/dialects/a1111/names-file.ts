/** Whether a field or an option that names a file names one. */
export function namesFile(value: unknown): value is string {
  return typeof value === 'string' && !['', 'none', 'automatic'].includes(value.toLowerCase());
}
