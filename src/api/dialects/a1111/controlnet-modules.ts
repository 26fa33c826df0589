import { IP_ADAPTER_MODULES } from './ip-adapter-unit.ts';
import type { PreprocessorName } from '#imaging/controlnet/preprocessors.ts';
import { AppError } from '#protocol/error.ts';
import type { NetworkPreprocessor } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';

/** A control of a preprocessor, as the ControlNet extension's API describes it. */
export interface ModuleSlider {
  name: string;
  value: number;
  min: number;
  max: number;
  step: number;
}

type Runner = PreprocessorName | 'inpaint' | 'ip-adapter' | NetworkPreprocessor['kind'];

/** A preprocessor of the ControlNet extension. */
export interface ControlModule {
  /** In the API; the page has labels. */
  name: string;
  label: string;
  /**
   * What runs it: `inpaint` hides the masked area of the init image, `ip-adapter` shows the image to the model instead of a
   * ControlNet; `openpose`, `depth` and `normal` run a network; null leaves the image unchanged.
   */
  preprocessor: Runner | null;
  /** The networks that do it, by the `network` of their packs; empty for one that comes with the app. */
  networks?: readonly string[];
  /** Whether its resolution can be set. */
  hasResolution: boolean;
  /** Its own sliders: `threshold_a`, `threshold_b`. */
  sliders: readonly ModuleSlider[];
  /** Kinds of ControlNets that it suits. */
  types: readonly string[];
}

/** What the shorter side of the image is resized to first. */
export const RESOLUTION: ModuleSlider = { name: 'Resolution', value: 512, min: 64, max: 2048, step: 8 };

/** A slider that a preprocessor does not have, as the extension writes it into infotexts. */
const HIDDEN: ModuleSlider = { name: '', value: 0.5, min: 0, max: 1, step: 0.01 };

function slider(name: string, value: number, min: number, max: number, step = 0.01): ModuleSlider {
  return { name, value, min, max, step };
}

function module(
  preprocessor: Runner,
  types: readonly string[],
  sliders: readonly ModuleSlider[] = [],
  other: Partial<ControlModule> = {},
): ControlModule {
  const [name, label] = [preprocessor, preprocessor];
  return { name, label, preprocessor, hasResolution: true, sliders, types, ...other };
}

function ipAdapter(named: Pick<ControlModule, 'name' | 'label'>): ControlModule {
  return module('ip-adapter', ['IP-Adapter'], [], { ...named, hasResolution: false });
}

function depthAnything(name: string): ControlModule {
  return module('depth', ['Depth'], [], {
    name,
    label: name,
    hasResolution: false,
    networks: ['depth-anything'],
  });
}

const gamma = [slider('Gamma Correction', 1, 0.1, 2, 0.001)];

/**
 * The preprocessors, in the order of the extension's lists: its priorities, then its labels backwards.
 * Facts are from scripts/preprocessor/model_free_preprocessors.py and legacy/preprocessor_compiled.py.
 */
export const MODULES: readonly ControlModule[] = [
  {
    name: 'none',
    label: 'none',
    preprocessor: null,
    hasResolution: true,
    sliders: [],
    types: ['InstructP2P'],
  },
  ipAdapter(IP_ADAPTER_MODULES.auto),
  module('tile_resample', ['Tile'], [slider('Down Sampling Rate', 1, 1, 8)]),
  module('recolor_luminance', ['Recolor'], gamma),
  module('lineart_standard', ['Lineart'], [], { label: 'lineart_standard (from white bg & black line)' }),
  ipAdapter(IP_ADAPTER_MODULES.clipH),
  module('inpaint', ['Inpaint'], [], { name: 'inpaint_only', label: 'inpaint_only', hasResolution: false }),
  module('depth', ['Depth'], [], { label: 'depth_midas', networks: ['midas'] }),
  module(
    'canny',
    ['Canny'],
    [slider('Low Threshold', 100, 1, 255, 1), slider('High Threshold', 200, 1, 255, 1)],
  ),
  module('invert', ['Canny', 'Lineart', 'Scribble', 'MLSD'], [], {
    label: 'invert (from white bg & black line)',
    hasResolution: false,
  }),
  module('threshold', [], [slider('Binarization Threshold', 127, 0, 255)]),
  module('t2ia_color_grid', ['T2I-Adapter'], [], { name: 'color' }),
  module('scribble_xdog', ['Scribble', 'SparseCtrl'], [slider('XDoG Threshold', 32, 1, 64)]),
  module('recolor_intensity', ['Recolor'], gamma),
  module('openpose', ['OpenPose'], [], { networks: [] }),
  module('normal', ['NormalMap'], [slider('Normal Background Threshold', 0.4, 0, 1)], {
    name: 'normal_map',
    label: 'normal_midas',
    networks: ['midas', 'depth-anything'],
  }),
  ipAdapter(IP_ADAPTER_MODULES.plusClipH),
  ipAdapter(IP_ADAPTER_MODULES.clipG),
  module('inpaint', ['Inpaint'], [], { label: 'inpaint_global_harmonious', hasResolution: false }),
  depthAnything('depth_anything_v2'),
  depthAnything('depth_anything'),
  module('blur_gaussian', ['Tile'], [slider('Sigma', 9, 0.01, 64)]),
];

/** The preprocessors that can be used with what is installed. */
export function availableModules(addOns: readonly AddOnInfo[]): ControlModule[] {
  return MODULES.filter(({ networks }) => !networks?.length || packOf(networks, addOns) !== undefined);
}

/** The installed network that does it; of several kinds, the first. */
function packOf(networks: readonly string[], addOns: readonly AddOnInfo[]): AddOnInfo | undefined {
  const installed = usableAddOns(addOns, 'preprocessor');
  return networks
    .map((network) => installed.find(({ pack }) => pack.network === network))
    .find((found) => found !== undefined);
}

/**
 * What a module does that runs a network; undefined for others.
 * @throws AppError `model_not_found` where none is installed that does it
 */
export function networkPreprocessor(
  { label, preprocessor: kind, networks = [] }: ControlModule,
  { resolution, thresholdA }: { resolution: number; thresholdA: number },
  addOns: readonly AddOnInfo[],
): NetworkPreprocessor | undefined {
  if (kind === 'openpose') return { kind, resolution };
  if (kind !== 'depth' && kind !== 'normal') return undefined;
  const model = packOf(networks, addOns)?.pack.id;
  if (model === undefined) {
    const names = networks.map((network) => (network === 'midas' ? 'MiDaS' : 'Depth Anything'));
    throw new AppError(
      'model_not_found',
      `The preprocessor '${label}' needs ${names.join(' or ')} as ONNX. Import it in Models, or choose another preprocessor.`,
    );
  }
  return kind === 'depth' ? { kind, model, resolution } : { kind, model, resolution, background: thresholdA };
}

/** The refusal of a preprocessor that is none, or is the work of a network that does not run here. */
export function noSuchModule(name: string, addOns: readonly AddOnInfo[]): AppError {
  const known = availableModules(addOns).map((each) => each.name);
  return new AppError(
    'unsupported_feature',
    `The preprocessor '${name}' does not exist, or needs a network that does not run here. Available: ${known.join(', ')}.`,
    { detail: { parameter: 'module' } },
  );
}

/** The preprocessor of this name or label; upper and lower case are the same. */
export function findModule(name: string): ControlModule | undefined {
  const wanted = name.trim().toLowerCase();
  return MODULES.find(({ name: own, label }) => [own, label.toLowerCase()].includes(wanted));
}

/** The slider's value, or its default where the request's is outside it. */
function boundedBy({ value, min, max }: ModuleSlider, sent: number): number {
  return sent < min || sent > max ? value : sent;
}

/** What a request sets of a preprocessor, defaults filled in. */
export function moduleSettings(
  { sliders: [first = HIDDEN, second = HIDDEN] }: ControlModule,
  sent: { processor_res: number; threshold_a: number; threshold_b: number },
): { resolution: number; thresholdA: number; thresholdB: number } {
  return {
    resolution: boundedBy(RESOLUTION, sent.processor_res),
    thresholdA: boundedBy(first, sent.threshold_a),
    thresholdB: boundedBy(second, sent.threshold_b),
  };
}
