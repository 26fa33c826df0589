import { installedAddOns } from '#api/models.ts';
import { route, type Route } from '#api/route.ts';
import { unitModelName } from '#codecs/infotext-control.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import { CANNY_SLIDERS, CONTROLNET, MODULES } from './controlnet-unit.ts';

/* Routes of the ControlNet extension (Mikubill/sd-webui-controlnet, scripts/api.py). */

/** Of the extension's API. */
const API_VERSION = 3;

/** Units that its page shows; the API takes any number. Releases before 1.1.400 called it the most models. */
const UNITS = 3;

/** Its option of how many ControlNets stay loaded, as a stock install has it. */
const CACHED_MODELS = 2;

function nameOf(addOn: AddOnInfo): string {
  return unitModelName(addOn.pack.id, addOn.sha256);
}

const modelNames = (addOns: readonly AddOnInfo[]) => installedAddOns(addOns, CONTROLNET).map(nameOf);

const MODULE_NAMES = MODULES.map(({ names: [name] }) => name);

const moduleDetail = Object.fromEntries(
  MODULES.map(({ names: [name], kind }) => [
    name,
    { model_free: false, sliders: kind === 'canny' ? [null, ...CANNY_SLIDERS] : [] },
  ]),
);

/** Which preprocessors suit which kind of ControlNet, as far as they are here. */
const CONTROL_TYPES: Readonly<Record<string, readonly string[]>> = {
  All: MODULE_NAMES,
  Canny: ['none', 'canny'],
  Lineart: ['none', 'invert'],
  Scribble: ['none', 'invert'],
};

export const controlNetRoutes: readonly Route[] = [
  route({
    method: 'GET',
    path: '/controlnet/version',
    summary: 'Version of the ControlNet API',
    run: () => Promise.resolve({ version: API_VERSION }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/model_list',
    summary: 'The installed ControlNets',
    run: async (call) => ({ model_list: modelNames(await call.ask((host) => host.addOns())) }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/module_list',
    summary: 'Preprocessors of control images',
    run: () => Promise.resolve({ module_list: MODULE_NAMES, module_detail: moduleDetail }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/control_types',
    summary: 'Preprocessors and ControlNets by what they go by',
    run: async (call) => {
      const models = ['None', ...modelNames(await call.ask((host) => host.addOns()))];
      const describe = ([type, modules]: readonly [string, readonly string[]]) => {
        const own = models.filter(
          (name) => type === 'All' || name.toLowerCase().includes(type.toLowerCase()),
        );
        return [
          type,
          {
            module_list: modules,
            model_list: type === 'All' ? own : ['None', ...own],
            default_option: modules.at(-1) ?? 'none',
            default_model: own.find((name) => name !== 'None') ?? 'None',
          },
        ] as const;
      };
      return { control_types: Object.fromEntries(Object.entries(CONTROL_TYPES).map(describe)) };
    },
  }),
  route({
    method: 'GET',
    path: '/controlnet/settings',
    summary: 'How many units the page shows',
    run: () =>
      Promise.resolve({
        control_net_unit_count: UNITS,
        control_net_model_cache_size: CACHED_MODELS,
        control_net_max_models_num: UNITS,
      }),
  }),
];
