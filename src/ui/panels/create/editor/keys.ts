import type { Tool } from './mask-editor.svelte.ts';

/** What a key does in the editor. */
export type KeyAction =
  | { kind: 'tool'; tool: Tool }
  | { kind: 'size' | 'zoom'; factor: number }
  /** In quarters of the brush, or in steps of a layer. */
  | { kind: 'go'; x: number; y: number }
  | { kind: 'fit' | 'undo' | 'redo' | 'clear' | 'leave' | 'mark' };

const ZOOM = 1.25;
const SIZE = 1.2;

const KEYS: Readonly<Record<string, KeyAction>> = {
  b: { kind: 'tool', tool: 'brush' },
  e: { kind: 'tool', tool: 'eraser' },
  h: { kind: 'tool', tool: 'move' },
  c: { kind: 'tool', tool: 'color' },
  s: { kind: 'tool', tool: 'pick' },
  l: { kind: 'tool', tool: 'layer' },
  '[': { kind: 'size', factor: 1 / SIZE },
  ']': { kind: 'size', factor: SIZE },
  '+': { kind: 'zoom', factor: ZOOM },
  '=': { kind: 'zoom', factor: ZOOM },
  '-': { kind: 'zoom', factor: 1 / ZOOM },
  '0': { kind: 'fit' },
  ArrowLeft: { kind: 'go', x: -1, y: 0 },
  ArrowRight: { kind: 'go', x: 1, y: 0 },
  ArrowUp: { kind: 'go', x: 0, y: -1 },
  ArrowDown: { kind: 'go', x: 0, y: 1 },
  Delete: { kind: 'clear' },
  Escape: { kind: 'leave' },
  ' ': { kind: 'mark' },
};

/** The action of a key; undefined where it has none here. */
export function keyOf({ key, ctrlKey, metaKey, shiftKey }: KeyboardEvent): KeyAction | undefined {
  if (!ctrlKey && !metaKey) return KEYS[key.length === 1 ? key.toLowerCase() : key];
  if (key.toLowerCase() === 'z') return { kind: shiftKey ? 'redo' : 'undo' };
  return key.toLowerCase() === 'y' ? { kind: 'redo' } : undefined;
}
