import { subjectOfNote } from '#protocol/notes.ts';

/**
 * The parameters without effect that a result's notes are about: `prompt.<lora:name>` for a tag in a prompt.
 * @param nameLora how a request names a LoRA
 */
export function parametersOfNotes(notes: readonly string[], nameLora: (name: string) => string): string[] {
  return notes.flatMap((note) => {
    const subject = subjectOfNote(note);
    if (subject?.kind === 'tag') return [`prompt.${subject.tag.replace(/^(<\w+:[^:>]+).*>$/, '$1>')}`];
    return subject ? [nameLora(subject.name)] : [];
  });
}
