/**
 * The fields of a comma-separated list, without white space around them. A field in double quotes may contain commas and,
 * doubled, quotes. Every line counts, as if they were one. Source: Python's `csv.reader` with `skipinitialspace`.
 */
export function readCsvFields(text: string): string[] {
  return text.split(/\r\n|[\r\n]/).flatMap((line) => (line === '' ? [] : readLine(line)));
}

function readLine(line: string): string[] {
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    while (line[at] === ' ') at += 1;
    const [field, end] = line[at] === '"' ? readQuoted(line, at + 1) : readPlain(line, at);
    fields.push(field.trim());
    if (end >= line.length) return fields;
    at = end + 1;
  }
}

function readPlain(line: string, start: number): [field: string, end: number] {
  const comma = line.indexOf(',', start);
  const end = comma < 0 ? line.length : comma;
  return [line.slice(start, end), end];
}

/** What follows the closing quote still belongs to the field. */
function readQuoted(line: string, start: number): [field: string, end: number] {
  let field = '';
  for (let at = start; at < line.length; at++) {
    if (line[at] !== '"') field += line[at] ?? '';
    else if (line[at + 1] === '"') {
      field += '"';
      at += 1;
    } else {
      const [rest, end] = readPlain(line, at + 1);
      return [field + rest, end];
    }
  }
  return [field, line.length];
}
