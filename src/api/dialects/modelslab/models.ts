import { findAddOn, findModel, usableModels } from '#api/models.ts';
import type { Call, Route } from '#api/route.ts';
import { AppError } from '#protocol/error.ts';
import { sumBytes, type ModelInfo, type PackKind } from '#protocol/model.ts';
import { done, type Done } from './done.ts';
import { BASE, endpoints } from './endpoints.ts';
import { nameSetting, packNames, VAE_SETTING } from './names.ts';
import * as schema from './schema.ts';

type Asking = Pick<Call<unknown, unknown>, 'ask'>;

/** @throws AppError `model_not_found` */
async function requireModel({ ask }: Asking, name: string): Promise<ModelInfo> {
  const [models, settings] = await ask((host) => Promise.all([host.models(), host.settings()]));
  const model = findModel(models, packNames(settings, name));
  if (model) return model;
  throw new AppError('model_not_found', `Model not found: ${name}`);
}

const lists = [
  ...endpoints([`${BASE}/get_all_models`], {
    summary: 'The installed models',
    body: schema.keyBody,
    run: async (call) => usableModels(await call.ask((host) => host.models())).map(describeModel),
  }),
  ...endpoints([`${BASE}/verify_model`], {
    summary: 'Whether a model is installed',
    body: schema.modelBody,
    run: async (call) => done(`Model is ready: ${(await requireModel(call, call.body.model_id)).pack.id}`),
  }),
];

function describeModel({ pack, state }: ModelInfo) {
  return {
    model_id: pack.id,
    model_name: pack.title,
    status: state.stage === 'installed' ? 'model_ready' : state.stage,
    created_at: state.stage === 'installed' ? new Date(state.installedAt).toISOString() : null,
  };
}

/** Where something is, and what requests will call it. */
interface Import {
  name: string;
  url: string;
  /** What it has to be; null takes anything. */
  kind: PackKind | null;
}

/**
 * Looks at what is at an address and begins to bring it here; the download continues after the answer.
 * @throws AppError as the host's `inspectImport`; `invalid_request` when it is something else
 */
async function beginImport({ ask }: Asking, { name, url, kind }: Import): Promise<Done> {
  const source = { from: 'url', url } as const;
  const offer = await ask((host) => host.inspectImport(source));
  if (offer.problem !== null) throw new AppError('unsupported_feature', offer.problem);
  if (kind !== null && offer.kind !== kind)
    throw new AppError('invalid_request', `${url} is not a ${kind.toUpperCase()}. It is: ${offer.summary}`);
  const storage = offer.options[0]?.storage ?? 'exact';
  await ask((host) => host.updateSettings(nameSetting(name, offer.id)));
  // Its progress shows in the app and, for models, in get_all_models.
  void ask((host) => host.importModel(source, { storage })).catch(() => undefined);
  return done(`Being downloaded: ${name}, ${Math.ceil(sumBytes(offer.files) / 1e6)} MB`);
}

const loading = [
  ...endpoints([`${BASE}/load_model`, `${BASE}/load_model_v2`], {
    summary: 'Installs a model of the app, or the file at a URL',
    body: schema.loadModelBody,
    run: async (call) => {
      const { model_id: id, url } = call.body;
      const known = (await call.ask((host) => host.models())).find(({ pack }) => pack.id === id);
      if (known?.state.stage === 'installed') return done(`Model is ready: ${id}`);
      if (known) {
        // Its progress shows in get_all_models and in the app; the request is answered at once.
        void call.ask((host) => host.installModel(id)).catch(() => undefined);
        return done(`Model is being downloaded: ${id}, ${Math.ceil(known.sizeBytes / 1e6)} MB`);
      }
      if (url === null) throw new AppError('invalid_request', 'url is required');
      return beginImport(call, { name: id, url, kind: null });
    },
  }),
  ...endpoints([`${BASE}/load_vae`], {
    summary: 'Makes a VAE the default, or installs one from a URL',
    body: schema.loadVaeBody,
    run: async (call) => {
      const { vae_id: name, vae_url: url } = call.body;
      if (url !== null) return beginImport(call, { name, url, kind: 'vae' });
      const [addOns, settings] = await call.ask((host) => Promise.all([host.addOns(), host.settings()]));
      const vae = findAddOn(addOns, 'vae', packNames(settings, name));
      if (!vae && name.toLowerCase() !== 'none')
        throw new AppError('model_not_found', `VAE not found: ${name}`);
      await call.ask((host) => host.updateSettings({ [VAE_SETTING]: vae?.pack.id ?? null }));
      return done(vae ? `VAE is ready: ${vae.pack.id}` : "VAE is ready: the model's own");
    },
  }),
  ...endpoints([`${BASE}/delete_model`], {
    summary: 'Removes an installed model',
    body: schema.modelBody,
    run: async (call) => {
      const { pack } = await requireModel(call, call.body.model_id);
      await call.ask((host) => host.removeModel(pack.id));
      return done(`Model deleted: ${pack.id}`);
    },
  }),
];

/** Lists of what is installed, and what changes them. */
export const modelRoutes: readonly Route[] = [...lists, ...loading];
