/** A text and the last call of the denoiser that it applies to, counted as in the reference. */
export interface ScheduledText {
  until: number;
  text: string;
}

/** Where in the image's making a schedule is read. */
export interface ScheduleSpan {
  /** Calls of the denoiser in this pass. */
  steps: number;
  /** In a hires pass: calls of the first pass. There, fractions count from 1 and integers from this number. */
  firstPassSteps?: number;
}

type Node = string | { before: Node[]; after: Node[]; when: string } | { options: Node[][] };

/** An open bracket: the separators met so far, and what stands between them. */
interface Frame {
  bracket: '(' | '[';
  separators: (':' | '|')[];
  parts: Node[][];
}

/** Deeper nesting is taken as plain text. */
const MAX_DEPTH = 200;

const NUMBER = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*$/;

/**
 * The texts a prompt with `[from:to:when]` and `[a|b]` stands for, in order. Malformed brackets are text, and a prompt
 * the grammar cannot read (a `|` outside of alternatives, a trailing backslash) is taken literally.
 * Source: A1111 1.10 modules/prompt_parser.py, `get_learned_conditioning_prompt_schedules` and its grammar.
 */
export function parseSchedule(prompt: string, span: ScheduleSpan): ScheduledText[] {
  const nodes = parseNodes(prompt);
  if (nodes === null) return [{ until: span.steps, text: prompt }];
  const ends = new Set([span.steps]);
  collectEnds(nodes, span, ends);
  return [...ends].sort((a, b) => a - b).map((until) => ({ until, text: textAt(nodes, until, span) }));
}

/** Reads the brackets in one pass; null when the grammar has no reading of the text. */
function parseNodes(prompt: string): Node[] | null {
  const top: Node[] = [];
  const open: Frame[] = [];
  const add = (node: Node): void => {
    (open.at(-1)?.parts.at(-1) ?? top).push(node);
  };
  // Only the top level may hold loose brackets: one that has no reading makes all that enclose it loose too.
  const loosenAll = (): boolean => {
    const frames = open.splice(0);
    for (const frame of frames) {
      top.push(frame.bracket);
      for (const [i, part] of frame.parts.entries()) {
        if (i > 0) top.push(frame.separators[i - 1] ?? '');
        top.push(...part);
      }
    }
    return frames.every((frame) => !frame.separators.includes('|'));
  };

  for (let at = 0; at < prompt.length;) {
    const char = prompt[at] ?? '';
    const frame = open.at(-1);
    let readable = true;
    let length = 1;
    if (char === '(' || char === '[') {
      readable = open.push({ bracket: char, separators: [], parts: [[]] }) <= MAX_DEPTH;
    } else if (char === ')' || char === ']') {
      const node = frame && closeFrame(frame, char);
      if (node) {
        open.pop();
        for (const piece of node) add(piece);
      } else {
        readable = loosenAll();
        top.push(char);
      }
    } else if (char === ':' || char === '|') {
      if (frame && admits(frame, char)) {
        frame.separators.push(char);
        frame.parts.push([]);
      } else {
        readable = loosenAll() && char !== '|';
        top.push(char);
      }
    } else {
      const plain = matchPlain(prompt, at);
      readable = plain !== '';
      length = plain.length;
      add(plain);
    }
    if (!readable) return null;
    at += length;
  }
  return loosenAll() ? top : null;
}

const PLAIN = /(?:[^\\[\]():|]|\\[^\n])+/uy;

function matchPlain(text: string, at: number): string {
  PLAIN.lastIndex = at;
  return PLAIN.exec(text)?.[0] ?? '';
}

/** Whether one more separator leaves the bracket a reading: `(x:y)`, `[x:y:when]` or `[x|y|…]`. */
function admits(frame: Frame, separator: ':' | '|'): boolean {
  if (frame.bracket === '(') return separator === ':' && frame.separators.length === 0;
  if (separator === '|') return !frame.separators.includes(':');
  return !frame.separators.includes('|') && frame.separators.length < 2;
}

/** The nodes a bracket stands for once closed, or null if it has no reading. */
function closeFrame(frame: Frame, closer: ')' | ']'): Node[] | null {
  const [first = [], ...rest] = frame.parts;
  if (frame.bracket === '(') {
    return closer === ')' ? ['(', ...first, ...rest.flatMap((part) => [':', ...part]), ')'] : null;
  }
  if (closer === ')') return null;
  if (rest.length === 0) return ['[', ...first, ']'];
  if (frame.separators.includes('|')) return [{ options: frame.parts }];
  const last = rest.at(-1) ?? [];
  const when = last.length === 1 && typeof last[0] === 'string' ? NUMBER.exec(last[0])?.[1] : undefined;
  if (when === undefined) return null;
  return [
    rest.length === 1 ? { before: [], after: first, when } : { before: first, after: rest[0] ?? [], when },
  ];
}

/** The last call of `when`; may be outside the span. */
function endOf(when: string, { steps, firstPassSteps }: ScheduleSpan): number {
  const value = Number(when);
  const end = when.includes('.')
    ? (value - (firstPassSteps === undefined ? 0 : 1)) * steps
    : value - (firstPassSteps ?? 0);
  return Math.min(steps, Math.trunc(end));
}

function collectEnds(nodes: readonly Node[], span: ScheduleSpan, ends: Set<number>): void {
  const pending = [...nodes];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (typeof node === 'string') continue;
    if ('options' in node) {
      for (let step = 1; step <= span.steps; step++) ends.add(step);
      pending.push(...node.options.flat());
    } else {
      const end = endOf(node.when, span);
      if (end >= 1) ends.add(end);
      pending.push(...node.before, ...node.after);
    }
  }
}

function textAt(nodes: readonly Node[], step: number, span: ScheduleSpan): string {
  return nodes
    .map((node) => {
      if (typeof node === 'string') return node;
      if ('options' in node) return textAt(node.options[(step - 1) % node.options.length] ?? [], step, span);
      return textAt(step <= endOf(node.when, span) ? node.before : node.after, step, span);
    })
    .join('');
}
