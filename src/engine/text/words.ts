/** Python's `\s` and `\b` go by Unicode, JavaScript's do not quite; prompts are read as Python reads them. */
const SPACE = '[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const NOT_AFTER_WORD = '(?<![\\p{L}\\p{N}_])';
const NOT_BEFORE_WORD = '(?![\\p{L}\\p{N}_])';

/** `BREAK` as a whole word with the blanks around it. */
export const BREAK_PATTERN = new RegExp(`${SPACE}*${NOT_AFTER_WORD}BREAK${NOT_BEFORE_WORD}${SPACE}*`, 'u');

/** `AND` as a whole word. */
export const AND_PATTERN = new RegExp(`${NOT_AFTER_WORD}AND${NOT_BEFORE_WORD}`, 'u');

/** The weight after a colon that may end a part of an `AND` prompt. */
export const PART_WEIGHT_PATTERN = new RegExp(
  `(?:${SPACE}*:${SPACE}*([-+]?(?:\\d+\\.?|\\d*\\.\\d+)))?${SPACE}*$`,
  'u',
);
