import { missingCapability } from '#api/parameters.ts';
import type { MissingCapability } from '#protocol/capabilities.ts';
import { CONTROLNET } from './controlnet-unit.ts';
import { httpException } from './errors.ts';

/** Scripts that are always on; what they do for the API, it does without them. */
const ALWAYS_ON = ['comments', 'sampler', 'seed'];

/** Always-on scripts of a stock install that do something only when their first argument says so. */
const SWITCHED: Readonly<Record<string, MissingCapability>> = {
  refiner: 'refiner',
  hypertile: 'hypertile',
  'extra options': 'extra-options',
};

/** `GET /scripts`: what can be run. */
export const SCRIPTS = { txt2img: [...ALWAYS_ON, CONTROLNET], img2img: ALWAYS_ON };

/** `GET /script-info`. */
export const SCRIPT_INFO = [false, true].flatMap((forImg2img) =>
  SCRIPTS[forImg2img ? 'img2img' : 'txt2img'].map((name) => ({
    name,
    is_alwayson: true,
    is_img2img: forImg2img,
    args: [],
  })),
);

/**
 * Refuses scripts that are not there.
 * @returns what the request says to the ControlNet extension
 * @throws AppError in the original's words, or `unsupported_feature` for a stock script that is switched on
 */
export function readScripts(
  selected: string | null,
  alwaysOn: Readonly<Record<string, unknown>>,
  ignore: (...names: string[]) => void,
): unknown {
  let controlNet: unknown;
  if (selected !== null && selected !== '' && selected.toLowerCase() !== 'none') {
    throw httpException(422, `Script '${selected}' not found`);
  }
  for (const [title, settings] of Object.entries(alwaysOn)) {
    const name = title.toLowerCase();
    const needs = SWITCHED[name];
    if (name === CONTROLNET) controlNet = settings;
    else if (needs !== undefined) {
      if (firstArgument(settings) === true) throw missingCapability(`'alwayson_scripts.${title}'`, needs);
    } else if (!ALWAYS_ON.includes(name)) {
      throw httpException(422, `always on script ${title} not found`);
    } else if (firstArgument(settings) !== undefined) {
      // They take their values from the page; through the API the request's own fields count.
      ignore(`alwayson_scripts.${title}`);
    }
  }
  return controlNet;
}

function firstArgument(settings: unknown): unknown {
  if (typeof settings !== 'object' || settings === null || !('args' in settings)) return undefined;
  return Array.isArray(settings.args) ? (settings.args as unknown[])[0] : undefined;
}
