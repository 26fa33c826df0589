import { honoured, param, parameters } from '#api/parameters.ts';
import { route, type Route } from '#api/route.ts';
import { unitModelName } from '#codecs/infotext-control.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';
import { controlNetDetect } from './controlnet-detect.ts';
import { availableModules, MODULES, RESOLUTION, type ControlModule } from './controlnet-modules.ts';
import { CONTROLNET } from './controlnet-unit.ts';
import { f } from './fields.ts';

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

const modelNames = (addOns: readonly AddOnInfo[]) =>
  [...usableAddOns(addOns, CONTROLNET), ...usableAddOns(addOns, 'ip-adapter')].map(nameOf);

/** Names of the preprocessors, or their labels on the page. */
function namesOf(modules: readonly ControlModule[], areAliases: boolean): string[] {
  return modules.map(({ name, label }) => (areAliases ? label : name));
}

function describeModules(modules: readonly ControlModule[], areAliases: boolean): Record<string, unknown> {
  const details = modules.map(({ hasResolution, sliders }) => ({
    model_free: false,
    sliders: [...(hasResolution ? [RESOLUTION] : []), ...sliders],
  }));
  return Object.fromEntries(namesOf(modules, areAliases).map((name, index) => [name, details[index]]));
}

/** Other words for a type in the names of ControlNets (`tag_to_filters`). */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  InstructP2P: ['ip2p'],
  'IP-Adapter': ['ip_adapter', 'ipadapter'],
  Scribble: ['sketch'],
  'T2I-Adapter': ['t2i_adapter', 't2iadapter', 't2ia'],
  Tile: ['blur'],
};

const TYPES = [...new Set(MODULES.flatMap(({ types }) => types))].sort();

/** A type of ControlNets with what suits it (ControlNet extension scripts/global_state.py, `select_control_type`). */
function describeType(type: string, models: readonly string[], available: readonly ControlModule[]) {
  const modules = available.filter(({ name, types }) => name === 'none' || types.includes(type));
  const parts = [type, ...(OTHER_NAMES[type] ?? [])].map((part) => part.toLowerCase());
  const fitting = models.filter((model) => parts.some((part) => model.toLowerCase().includes(part)));
  return {
    module_list: namesOf(modules, true),
    model_list: ['None', ...fitting],
    default_option: (modules[1] ?? modules[0])?.label ?? 'none',
    // Those of ControlNet 1.1 before others.
    default_model: fitting.find((model) => model.split('[')[0]?.includes('11')) ?? fitting[0] ?? 'None',
  };
}

const moduleQuery = parameters({
  alias_names: param(f.boolean(), false, honoured, 'Labels instead of names'),
});

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
    summary: 'The installed ControlNets and IP-Adapters',
    run: async (call) => ({ model_list: modelNames(await call.ask((host) => host.addOns())) }),
  }),
  route({
    method: 'GET',
    path: '/controlnet/module_list',
    summary: 'Preprocessors of control images',
    query: moduleQuery,
    run: async ({ ask, query: { alias_names: areAliases } }) => {
      const modules = availableModules(await ask((host) => host.addOns()));
      return {
        module_list: namesOf(modules, areAliases),
        module_detail: describeModules(modules, areAliases),
      };
    },
  }),
  route({
    method: 'GET',
    path: '/controlnet/control_types',
    summary: 'Preprocessors and ControlNets by control type',
    run: async (call) => {
      const addOns = await call.ask((host) => host.addOns());
      const [models, modules] = [modelNames(addOns), availableModules(addOns)];
      const all = {
        module_list: namesOf(modules, true),
        model_list: ['None', ...models],
        default_option: 'none',
        default_model: 'None',
      };
      const types = TYPES.map((type) => [type, describeType(type, models, modules)] as const);
      return { control_types: { All: all, ...Object.fromEntries(types) } };
    },
  }),
  route({
    method: 'GET',
    path: '/controlnet/settings',
    summary: 'Number of units on the page',
    run: () =>
      Promise.resolve({
        control_net_unit_count: UNITS,
        control_net_model_cache_size: CACHED_MODELS,
        control_net_max_models_num: UNITS,
      }),
  }),
  controlNetDetect,
];
