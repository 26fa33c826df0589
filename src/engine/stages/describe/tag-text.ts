import type { TagRules } from '#protocol/describer.ts';
import type { Tag } from '#protocol/job.ts';

/**
 * Tags as the text of a prompt. Source: A1111, modules/deepbooru.py, `tag_multi`.
 * @param tags with underscores
 */
export function writeTags(tags: readonly Tag[], rules: TagRules): string {
  const chosen = tags.filter(({ name, score }) => score >= rules.threshold && !rules.leaveOut.includes(name));
  const sorted = rules.sortsByName
    ? chosen.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    : chosen.toSorted((a, b) => b.score - a.score);
  return sorted.map((tag) => writeTag(tag, rules)).join(', ');
}

function writeTag({ name, score }: Tag, { usesSpaces, escapes, showsScores }: TagRules): string {
  const spaced = usesSpaces ? name.replaceAll('_', ' ') : name;
  const escaped = escapes ? spaced.replaceAll(/[\\()]/g, (sign) => `\\${sign}`) : spaced;
  return showsScores ? `(${escaped}:${score.toFixed(3)})` : escaped;
}
