import { findAddOn, requireOwnGraphs } from '#api/models.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlPreprocessor, ControlSpec } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelInfo } from '#protocol/model.ts';
import type { Installed } from './map.ts';
import { packNames } from './names.ts';
import { CONTROL_TYPES, type ControlnetBody } from './schema.ts';

type ControlType = (typeof CONTROL_TYPES)[number];

/** What is between the lines of files' names: `control_v11p_sd15_seg`. */
const NAME_PARTS: Readonly<Partial<Record<ControlType, string>>> = {
  segmentation: 'seg',
  face_detector: 'face',
};

/** Pixels of the shorter side at which lines are looked for: the ControlNet extension's own. */
const RESOLUTION = 512;

/** Networks that tell how far things are, by the `network` of their packs. */
const DEPTH_NETWORKS: readonly string[] = ['midas', 'depth-anything'];

/** Of normals: what is further away is flat, as in the ControlNet extension. */
const BACKGROUND = 0.4;

/** What makes a control image of a photograph with what comes with the app. */
const PREPROCESSORS: Readonly<Partial<Record<ControlType, ControlPreprocessor>>> = {
  canny: { kind: 'canny', low: 100, high: 200 },
  scribble: { kind: 'module', name: 'scribble_xdog', resolution: RESOLUTION, thresholdA: 32, thresholdB: -1 },
  lineart: {
    kind: 'module',
    name: 'lineart_standard',
    resolution: RESOLUTION,
    thresholdA: -1,
    thresholdB: -1,
  },
  openpose: { kind: 'openpose', resolution: RESOLUTION },
  // Control images of these are used without a preprocessor.
  tile: { kind: 'none' },
  qrcode: { kind: 'none' },
};

/**
 * The ControlNets that a request names, each with the same control image; those for inpainting see the init image without its
 * masked part.
 * @throws AppError `model_not_found` for one that is not installed; `invalid_request` for one of another family;
 *   `unsupported_feature` for a control image that would have to be made by another network
 */
export function chooseControls(
  body: ControlnetBody,
  model: ModelInfo,
  { addOns, settings }: Installed,
  image: Blob,
): ControlSpec[] {
  requireOwnGraphs(model, 'controlnet_model');
  return packNames(settings, body.controlnet_model)
    .split(',')
    .map((name, index) => {
      const { pack } = chooseControlNet(name, model, addOns);
      const type = body.controlnet_type?.[index] ?? typeIn(name) ?? typeIn(pack.id);
      const hidesMasked = type === 'inpaint' && body.mask_image !== null;
      return {
        id: pack.id,
        ...(hidesMasked
          ? { preprocessor: { kind: 'inpaint' } }
          : { image, preprocessor: body.auto_hint ? preprocessorFor(type, addOns) : { kind: 'none' } }),
        fit: 'stretch',
        strength: body.controlnet_conditioning_scale,
        start: 0,
        end: 1,
        balance: body.guess_mode ? 'control' : 'even',
      };
    });
}

/** By its name; or, as the service has one of each, by its type. */
function chooseControlNet(name: string, model: ModelInfo, addOns: readonly AddOnInfo[]): AddOnInfo {
  const installed = usableAddOns(addOns, 'controlnet');
  const fits = ({ pack }: AddOnInfo) => pack.family === null || pack.family === model.pack.family;
  const type = CONTROL_TYPES.find((known) => known === name.toLowerCase());
  const ofType = type && installed.find((addOn) => fits(addOn) && typeIn(addOn.pack.id) === type);
  const found = findAddOn(addOns, 'controlnet', name) ?? ofType;
  if (!found) {
    throw new AppError('model_not_found', `ControlNet not found: ${name}`, {
      detail: { tip: `Installed: ${installed.map(({ pack }) => pack.id).join(', ') || 'none'}` },
    });
  }
  if (fits(found)) return found;
  throw new AppError(
    'invalid_request',
    `The ControlNet ${found.pack.id} is for ${found.pack.family} models, but ${model.pack.id} is a ${model.pack.family} model.`,
  );
}

/** The type that a file's name states. */
function typeIn(name: string): ControlType | undefined {
  return CONTROL_TYPES.find((type) => name.toLowerCase().includes(NAME_PARTS[type] ?? type));
}

function preprocessorFor(type: ControlType | undefined, addOns: readonly AddOnInfo[]): ControlPreprocessor {
  if (type === undefined) throw new AppError('invalid_request', 'controlnet_type is required with auto_hint');
  if (type === 'depth' || type === 'normal') return depthPreprocessor(type, addOns);
  const preprocessor = PREPROCESSORS[type];
  if (preprocessor) return preprocessor;
  if (type === 'inpaint') throw new AppError('invalid_request', 'mask_image is required');
  throw new AppError(
    'unsupported_feature',
    `auto_hint for ${type} needs a network that does not run here. Send a finished control image, without auto_hint.`,
    { detail: { parameter: 'auto_hint' } },
  );
}

/** By the first depth network that is installed. */
function depthPreprocessor(kind: 'depth' | 'normal', addOns: readonly AddOnInfo[]): ControlPreprocessor {
  const found = usableAddOns(addOns, 'preprocessor').find(({ pack: { network = '' } }) =>
    DEPTH_NETWORKS.includes(network),
  );
  if (found) {
    const model = found.pack.id;
    return kind === 'depth'
      ? { kind, model, resolution: RESOLUTION }
      : { kind, model, resolution: RESOLUTION, background: BACKGROUND };
  }
  throw new AppError(
    'model_not_found',
    `auto_hint for ${kind} needs MiDaS or Depth Anything as ONNX. Import it in Models, or send a finished control image.`,
    { detail: { parameter: 'auto_hint' } },
  );
}
