/** A tag of a tagger, in the order of its outputs. */
export interface TagName {
  name: string;
  /** What a tag is about; ratings say how safe an image is, and are not part of a description. */
  category: 'general' | 'character' | 'rating';
}

/** Categories of Danbooru in `selected_tags.csv`; 9 is SmilingWolf's own. All others count as general. */
const CATEGORIES: Readonly<Record<string, TagName['category']>> = { '4': 'character', '9': 'rating' };

/**
 * Reads `selected_tags.csv` of SmilingWolf's taggers: `tag_id,name,category,count`, a row for each output. The columns are found
 * by the names in the first row.
 */
export function readTagCsv(text: string): TagName[] {
  const [head = [], ...rows] = text.split(/\r?\n/).filter(Boolean).map(splitRow);
  const [name, category] = [head.indexOf('name'), head.indexOf('category')];
  return rows.map((row) => ({
    name: row[name] ?? '',
    category: CATEGORIES[row[category] ?? ''] ?? 'general',
  }));
}

/** Reads `tags.txt` of DeepDanbooru: a line for each output, ratings as `rating:safe`. */
export function readTagLines(text: string): TagName[] {
  return text
    .split(/\r?\n/)
    .filter(Boolean)
    .map((name) => ({ name, category: name.startsWith('rating:') ? 'rating' : 'general' }));
}

/** The fields of a row of comma-separated values; quoted ones may contain commas and doubled quotation marks. */
function splitRow(row: string): string[] {
  return [...row.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain = '']) =>
    quoted === undefined ? plain : quoted.replaceAll('""', '"'),
  );
}
