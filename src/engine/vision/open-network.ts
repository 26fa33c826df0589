import type { Session } from '#engine/runtime/runtime.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';

/**
 * Opens the ONNX file of an add-on. Use it before the next one is opened, which may release it; opening what is open costs nothing.
 * @param path of the file in the pack, where there are several; by default the first
 * @throws AppError `model_not_found` for a pack without one, `integrity_failed` for a damaged one, and what the runtime throws
 */
export async function openVisionNetwork(run: RunContext, pack: AddOnPack, path?: string): Promise<Session> {
  const graph = path ?? pack.files.find((file) => file.path.endsWith('.onnx'))?.path;
  const [session] = graph === undefined ? [] : await openVisionNetworks(run, pack, [graph]);
  if (session) return session;
  throw new AppError('model_not_found', `${pack.title} has no .onnx file. Install it again.`, {
    detail: { model: pack.id },
  });
}

/** Opens several ONNX files of an add-on that are used by turns, in their order. @throws AppError as {@link openVisionNetwork} */
export function openVisionNetworks(
  run: RunContext,
  pack: AddOnPack,
  paths: readonly string[],
): Promise<Session[]> {
  return run.vision.open(
    paths.map((path) => ({ pack, path })),
    run.addOns,
  );
}
