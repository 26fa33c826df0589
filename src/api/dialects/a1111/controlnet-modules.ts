import type { PreprocessorName } from '#imaging/controlnet/preprocessors.ts';

/** A control of a preprocessor, as the ControlNet extension's API describes it. */
export interface ModuleSlider {
  name: string;
  value: number;
  min: number;
  max: number;
  step: number;
}

/** A preprocessor of the ControlNet extension. */
export interface ControlModule {
  /** In the API; the page has labels. */
  name: string;
  label: string;
  /** What runs it: `inpaint` hides the masked area of the init image; null leaves the image unchanged. */
  preprocessor: PreprocessorName | 'inpaint' | null;
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
  preprocessor: PreprocessorName | 'inpaint',
  types: readonly string[],
  sliders: readonly ModuleSlider[] = [],
  other: Partial<ControlModule> = {},
): ControlModule {
  const [name, label] = [preprocessor, preprocessor];
  return { name, label, preprocessor, hasResolution: true, sliders, types, ...other };
}

const gamma = [slider('Gamma Correction', 1, 0.1, 2, 0.001)];

/**
 * The preprocessors that need no model, in the order of the extension's lists: its priorities, then its labels backwards.
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
  module('tile_resample', ['Tile'], [slider('Down Sampling Rate', 1, 1, 8)]),
  module('recolor_luminance', ['Recolor'], gamma),
  module('lineart_standard', ['Lineart'], [], { label: 'lineart_standard (from white bg & black line)' }),
  module('inpaint', ['Inpaint'], [], { name: 'inpaint_only', label: 'inpaint_only', hasResolution: false }),
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
  module('inpaint', ['Inpaint'], [], { label: 'inpaint_global_harmonious', hasResolution: false }),
  module('blur_gaussian', ['Tile'], [slider('Sigma', 9, 0.01, 64)]),
];

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
