/*
 * Notes of a result are sentences for people. Those that say that something named by the request had no effect are
 * written and read here, so that an API can name it in its own way.
 */

const NO_EFFECT = ' had no effect: ';

/** What may have no effect: a LoRA named besides the prompts, or a tag such as `<lora:name:1>` in one. */
export type NoteSubject = { kind: 'lora'; name: string } | { kind: 'tag'; tag: string };

/** Says that something had no effect. @param why the rest of the sentence, full stop included */
export function noteNoEffect(subject: NoteSubject, why: string): string {
  return (subject.kind === 'tag' ? subject.tag : `The LoRA “${subject.name}”`) + NO_EFFECT + why;
}

/** What a note of {@link noteNoEffect} is about; undefined for any other sentence. */
export function subjectOfNote(note: string): NoteSubject | undefined {
  const end = note.indexOf(NO_EFFECT);
  const subject = end < 0 ? '' : note.slice(0, end);
  if (/^<.+>$/.test(subject)) return { kind: 'tag', tag: subject };
  const name = /^The LoRA “(.+)”$/.exec(subject)?.[1];
  return name === undefined ? undefined : { kind: 'lora', name };
}
