import type { ModelInfo } from '#protocol/model.ts';

/** A1111's short hash: the first ten hex digits of the SHA-256. */
export function shortHash(model: ModelInfo): string {
  return model.sha256.slice(0, 10);
}

/** The models a client may name: installed ones, and the selected one, which is fetched on first use. */
export function usableModels(models: readonly ModelInfo[]): ModelInfo[] {
  return models.filter((model) => model.selected || model.state.stage === 'installed');
}

/** The model that is used when a request names none. */
export function selectedModel(models: readonly ModelInfo[]): ModelInfo | undefined {
  return models.find((model) => model.selected) ?? usableModels(models)[0];
}

/**
 * The model a client means by an id, a title, a file name with or without extension and `[hash]`, a SHA-256
 * or the first ten of its digits; upper and lower case are the same.
 */
export function findModel(models: readonly ModelInfo[], name: string): ModelInfo | undefined {
  const wanted = name.trim().toLowerCase();
  const stem = wanted
    .replace(/\s*\[[\da-f]+\]$/, '')
    .replace(/^.*[\\/]/, '')
    .replace(/\.(safetensors|ckpt|onnx)$/, '');
  return usableModels(models).find(
    (model) =>
      [model.pack.id, model.pack.title].some(
        (own) => own.toLowerCase() === wanted || own.toLowerCase() === stem,
      ) ||
      model.sha256.toLowerCase() === wanted ||
      shortHash(model).toLowerCase() === wanted,
  );
}
