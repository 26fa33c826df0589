import { planInpaintTask } from '#imaging/fooocus/image-input.ts';
import type { InpaintPatchSpec, Refiner } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import type { CommonRequest } from './schema.ts';
import { readNumbers } from './settings.ts';

/** The engines that stand for no patch. */
const WITHOUT = ['None', ''];

/**
 * The inpaint patch that an engine stands for (`v1`, `v2.5`, `v2.6`): its head and its changes of the weights. `missing` where they
 * are not installed or not for the model, null for the engine `None`.
 */
export function chooseInpaintPatch(
  engine: string,
  { pack: model }: ModelInfo,
  addOns: readonly AddOnInfo[],
): InpaintPatchSpec | 'missing' | null {
  if (WITHOUT.includes(engine)) return null;
  const find = (network: string) =>
    usableAddOns(addOns, 'inpaint-patch').find(
      ({ pack }) => pack.network === network && [null, model.family].includes(pack.family),
    );
  const head = find('head');
  const weights = find(engine);
  if (!head || !weights || model.weights !== 'safetensors') return 'missing';
  return { head: head.pack.id, weights: weights.pack.id };
}

/** Where a model goes on without its patch. */
interface UnpatchedRefiner {
  /** Share of the run. */
  refinerSwitch: number;
  /** Undefined where the run is over before it takes over. */
  refiner: Refiner | undefined;
}

/** What Fooocus does with its patch where a request has no refiner: the model without it ends the run. */
export function planUnpatchedRefiner(request: CommonRequest, model: ModelInfo): UnpatchedRefiner {
  const { refinerSwitch } = planInpaintTask({
    prompt: request.prompt,
    additionalPrompt: '',
    refinerSwitch: request.refiner_switch,
    hasRefiner: false,
    usesPatch: true,
  });
  const { steps, switchStep } = readNumbers(request, { refinerSwitch }, false);
  const refiner =
    switchStep < steps
      ? ({ model: model.pack.id, switchAt: switchStep / steps, counts: 'step' } as const)
      : undefined;
  return { refinerSwitch, refiner };
}
