import type { InferenceSession } from 'onnxruntime-web/wasm';

interface Contestant {
  /** Which graphs: `plain`, as the model would be exported; `own`, as the engine writes them for wasm. */
  graphs: 'plain' | 'own';
  /** Whether it computes an image of what it runs, or runs only. */
  loops: boolean;
  options: InferenceSession.SessionOptions;
}

/** What the engine opens sessions with; see src/engine/runtime/runtime.ts. */
const ENGINE_OPTIONS: InferenceSession.SessionOptions = {
  graphOptimizationLevel: 'layout',
  extra: { session: { disable_quant_qdq: '1' } },
};

/** What the app is held against. */
export const contestants = {
  'floor of the plain graphs': { graphs: 'plain', loops: false, options: ENGINE_OPTIONS },
  'floor of our own graphs': { graphs: 'own', loops: false, options: ENGINE_OPTIONS },
  'loop over the plain graphs': { graphs: 'plain', loops: true, options: {} },
  'loop over the plain graphs, our session options': {
    graphs: 'plain',
    loops: true,
    options: ENGINE_OPTIONS,
  },
} as const satisfies Readonly<Record<string, Contestant>>;

export type ContestantName = keyof typeof contestants;
