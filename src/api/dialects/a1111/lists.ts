import { fileName, selectedModel, shortHash, usableModels } from '#api/models.ts';
import { route, type Route } from '#api/route.ts';
import { families } from '#protocol/families.ts';
import { LATENT_UPSCALE_MODES, PLAIN_UPSCALERS } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type ModelFamily, type ModelInfo } from '#protocol/model.ts';
import { CMD_FLAGS } from './cmd-flags.ts';
import { VERSION } from './describe-run.ts';
import { faceRestorersRoute } from './face-restoration.ts';
import { loras } from './loras.ts';
import { OPTIONS } from './option-rows.ts';
import { labelOf } from './options.ts';
import { SAMPLERS, SCHEDULERS } from './samplers.ts';
import { SCRIPT_INFO, SCRIPTS } from './scripts.ts';
import { PROMPT_STYLES } from './styles.ts';

/** `emoji-mini.safetensors [0123456789]`: how the original names a checkpoint; without the hash while that is unknown. */
export function titleOf(model: ModelInfo): string {
  const hash = shortHash(model);
  return hash === '' ? fileName(model) : `${fileName(model)} [${hash}]`;
}

/** The original reports 4 for every ESRGAN file. */
const UPSCALER_SCALE = 4;

const upscalerPath = (upscaler: AddOnInfo) => `models/ESRGAN/${fileName(upscaler)}`;

/** Lists that are the same at any time. */
const fixed: Readonly<Record<string, { summary: string; answer: unknown }>> = {
  '/sdapi/v1/cmd-flags': { summary: 'Start-up flags', answer: CMD_FLAGS },
  '/sdapi/v1/samplers': {
    summary: 'Samplers',
    answer: SAMPLERS.map(({ name, aliases, options }) => ({ name, aliases, options })),
  },
  '/sdapi/v1/schedulers': { summary: 'Sigma schedules', answer: SCHEDULERS },
  '/sdapi/v1/latent-upscale-modes': {
    summary: 'Latent upscalers of the hires pass',
    answer: LATENT_UPSCALE_MODES.map((name) => ({ name })),
  },
  '/sdapi/v1/hypernetworks': { summary: 'Hypernetworks', answer: [] },
  '/sdapi/v1/prompt-styles': { summary: 'Styles', answer: PROMPT_STYLES },
  '/sdapi/v1/extensions': { summary: 'Extensions', answer: [] },
  '/sdapi/v1/scripts': { summary: 'Scripts', answer: SCRIPTS },
  '/sdapi/v1/script-info': { summary: "Scripts and their arguments' controls", answer: SCRIPT_INFO },
  '/sdapi/v1/memory': {
    summary: 'Memory, which browsers do not report',
    answer: { ram: { error: 'browsers do not tell' }, cuda: { error: 'unavailable' } },
  },
  '/internal/ping': { summary: 'Whether the server answers', answer: {} },
  '/internal/sysinfo': { summary: 'About the server', answer: { Platform: 'browser', Version: VERSION } },
  '/internal/sysinfo-download': {
    summary: 'About the server',
    answer: { Platform: 'browser', Version: VERSION },
  },
  '/internal/quicksettings-hint': {
    summary: 'Names of options',
    answer: Object.keys(OPTIONS).map((name) => ({ name, label: labelOf(name) })),
  },
  '/internal/profile-startup': { summary: 'Start-up times', answer: { total: 0, records: {} } },
};

const fixedRoutes: readonly Route[] = Object.entries(fixed).map(([path, { summary, answer }]) =>
  route({ method: 'GET', path, summary, run: () => Promise.resolve(answer) }),
);

const models = route({
  method: 'GET',
  path: '/sdapi/v1/sd-models',
  summary: 'The installed models',
  run: async (call) =>
    usableModels(await call.ask((host) => host.models())).map((model) => ({
      title: titleOf(model),
      model_name: model.pack.id,
      hash: shortHash(model),
      sha256: model.sha256,
      filename: `models/Stable-diffusion/${fileName(model)}`,
      config: null,
    })),
});

const vaes = route({
  method: 'GET',
  path: '/sdapi/v1/sd-vae',
  summary: 'The installed replacement VAEs',
  run: async (call) =>
    usableAddOns(await call.ask((host) => host.addOns()), 'vae').map((vae) => ({
      model_name: fileName(vae),
      filename: `models/VAE/${fileName(vae)}`,
    })),
});

const upscalers = route({
  method: 'GET',
  path: '/sdapi/v1/upscalers',
  summary: 'Upscalers: plain ones and the installed networks',
  run: async (call) => {
    const networks = usableAddOns(await call.ask((host) => host.addOns()), 'upscaler');
    return [
      ...PLAIN_UPSCALERS.map((name) => ({ name, model_path: null })),
      ...networks.map((network) => ({ name: network.pack.id, model_path: upscalerPath(network) })),
    ].map(({ name, model_path }) => ({
      name,
      model_name: null,
      model_path,
      model_url: null,
      scale: UPSCALER_SCALE,
    }));
  },
});

const realEsrganModels = route({
  method: 'GET',
  path: '/sdapi/v1/realesrgan-models',
  summary: 'The installed upscaling networks',
  run: async (call) =>
    usableAddOns(await call.ask((host) => host.addOns()), 'upscaler').map((network) => ({
      name: network.pack.id,
      path: upscalerPath(network),
      scale: UPSCALER_SCALE,
    })),
});

/** The number of vectors is worked out from the size of the file, as those of most are float32. */
function describeEmbedding({ pack, sizeBytes }: AddOnInfo, family: ModelFamily) {
  const shape = families[family].textWidth;
  const vectors = Math.max(1, Math.floor(sizeBytes / (shape * Float32Array.BYTES_PER_ELEMENT)));
  return [pack.id, { step: null, sd_checkpoint: null, sd_checkpoint_name: null, shape, vectors }] as const;
}

const embeddings = route({
  method: 'GET',
  path: '/sdapi/v1/embeddings',
  summary: 'The installed textual inversion embeddings: those that fit the selected model, and the others',
  run: async (call) => {
    const [models, addOns] = await call.ask((host) => Promise.all([host.models(), host.addOns()]));
    const current = selectedModel(models)?.pack.family ?? 'sd1';
    const installed = usableAddOns(addOns, 'embedding').map((embedding) => ({
      embedding,
      family: embedding.pack.family ?? current,
    }));
    const describe = (fitting: boolean) =>
      Object.fromEntries(
        installed
          .filter(({ family }) => (family === current) === fitting)
          .map(({ embedding, family }) => describeEmbedding(embedding, family)),
      );
    return { loaded: describe(true), skipped: describe(false) };
  },
});

/** There is nothing to look for again: the lists are read at each request. */
const refreshRoutes: readonly Route[] = ['checkpoints', 'vae', 'embeddings', 'loras'].map((what) =>
  route({
    method: 'POST',
    path: `/sdapi/v1/refresh-${what}`,
    summary: `Read the list of ${what} again`,
    run: () => Promise.resolve(null),
  }),
);

/** The engine loads and frees models as jobs need them. */
const loadRoutes: readonly Route[] = ['unload-checkpoint', 'reload-checkpoint'].map((what) =>
  route({
    method: 'POST',
    path: `/sdapi/v1/${what}`,
    summary: 'Load or unload models, which the engine does by itself',
    status: 'no-effect',
    run: () => Promise.resolve({}),
  }),
);

export const listRoutes: readonly Route[] = [
  ...fixedRoutes,
  models,
  vaes,
  upscalers,
  realEsrganModels,
  faceRestorersRoute,
  loras,
  embeddings,
  ...refreshRoutes,
  ...loadRoutes,
];
