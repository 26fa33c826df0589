import { AppError } from '#protocol/error.ts';
import { usableAddOns, type AddOnInfo, type AddOnKind, type ModelInfo } from '#protocol/model.ts';
import { findByName, foldName } from '#protocol/names.ts';

/** Something installed that requests call by a name. */
type Named = ModelInfo | AddOnInfo;

/** A1111's short hash: the first ten hex digits of the SHA-256; empty while that is unknown. */
export function shortHash({ sha256 }: Named): string {
  return sha256.slice(0, 10);
}

/** What a pack is called where files have names. */
export function fileName({ pack }: Named): string {
  return `${pack.id}.safetensors`;
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
  return findNamed(usableModels(models), name);
}

/** The add-on a client means, by the same names as {@link findModel}. */
export function findAddOn(
  addOns: readonly AddOnInfo[],
  kind: AddOnKind,
  name: string,
): AddOnInfo | undefined {
  return findNamed(usableAddOns(addOns, kind), name);
}

function findNamed<T extends Named>(packs: readonly T[], name: string): T | undefined {
  // A name may end as hashes and file names do: what was sent counts before what is left without them.
  const whole = name.trim();
  const unhashed = whole.replace(/\s*\[[\da-f]+\]$/i, '');
  const stem = unhashed.replace(/^.*[\\/]/, '').replace(/\.(safetensors|ckpt|onnx|pt|bin)$/i, '');
  for (const wanted of new Set([whole, unhashed, stem])) {
    if (wanted === '') continue;
    const hash = foldName(wanted);
    const found =
      findByName(packs, wanted, ({ pack }) => pack) ??
      packs.find((item) => item.sha256 !== '' && [item.sha256, shortHash(item)].includes(hash));
    if (found) return found;
  }
  return undefined;
}

/**
 * Refuses models whose graphs the engine does not write itself and so cannot change.
 * @throws AppError `unsupported_feature` that names the parameter
 */
export function requireOwnGraphs({ pack }: ModelInfo, parameter: string): void {
  if (pack.weights === 'safetensors') return;
  throw new AppError(
    'unsupported_feature',
    `'${parameter}' needs a model from .safetensors files: ${pack.title} consists of exported ONNX graphs.`,
    { detail: { parameter, model: pack.id } },
  );
}
