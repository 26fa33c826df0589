import type { GenerationFields } from '#codecs/generation-fields.ts';
import { BUILT_IN_RESTORER } from '#protocol/face-restoration.ts';
import {
  LATENT_UPSCALE_MODES,
  PLAIN_UPSCALERS,
  type UpscalerName,
  type LatentUpscaleMode,
} from '#protocol/job.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import type { GenerateForm } from './generate-form.svelte.ts';
import { samplers, schedules } from './samplers.ts';

/**
 * Fills the form with what an image file says of how it was made, and selects its model where it is installed.
 * @returns what is not installed here, by name
 */
export async function fillFromFields(
  form: GenerateForm,
  fields: GenerationFields,
  engine: Pick<
    Engine,
    'installedModels' | 'fittingAddOns' | 'upscalers' | 'bestUpscaler' | 'faceRestorers' | 'selectModel'
  >,
): Promise<string[]> {
  const missing: string[] = [];
  const model = findModel(fields, engine.installedModels);
  if (fields.model !== undefined && !model) missing.push(fields.model);
  if (model) {
    form.resetTo(model.pack);
    if (!model.selected) await engine.selectModel(model.pack.id);
  }
  form.mode = 'text';
  form.prompt = fields.prompt;
  form.negativePrompt = fields.negativePrompt;
  // They are in the prompts already.
  form.styles = [];
  form.lorasOff = [];
  form.steps = fields.steps ?? form.steps;
  form.guidanceScale = fields.cfgScale ?? form.guidanceScale;
  form.width = fields.width ?? form.width;
  form.height = fields.height ?? form.height;
  form.seed = fields.seed?.toString() ?? form.seed;
  form.strength = fields.denoisingStrength ?? form.strength;
  missing.push(...fillSampler(form, fields), ...fillVae(form, fields, engine.fittingAddOns));
  form.hires = null;
  if (fields.hires) {
    const { size, upscaler, steps } = fields.hires;
    const resizeBy = upscaler === undefined ? 'Latent' : findUpscaler(upscaler, engine.upscalers);
    if (resizeBy === null) missing.push(upscaler ?? '');
    form.hires = {
      scale: 'factor' in size ? size.factor : Math.max(size.width / form.width, size.height / form.height),
      resizeBy: resizeBy ?? engine.bestUpscaler,
      steps: steps ?? 0,
      strength: fields.denoisingStrength ?? 0.7,
    };
  }
  form.refiner = null;
  if (fields.refiner) {
    const refiner = findModel({ model: fields.refiner.model }, engine.installedModels);
    if (refiner) form.refiner = { model: refiner.pack.id, switchAt: fields.refiner.switchAt };
    else missing.push(fields.refiner.model);
  }
  form.faces = null;
  if (fields.faceRestoration !== undefined) {
    const name = fields.faceRestoration;
    const restorer = engine.faceRestorers.find(({ pack }) => pack.id === name || pack.title === name)?.pack;
    if (!restorer && name !== BUILT_IN_RESTORER) missing.push(name);
    form.faces = { restorer: restorer?.id ?? '', visibility: 1, weight: 0.5 };
  }
  return missing;
}

/** A model by its hash, its id or its title. */
export function findModel(
  { model, modelHash }: Pick<GenerationFields, 'model' | 'modelHash'>,
  models: readonly ModelInfo[],
): ModelInfo | undefined {
  // `name [hash]` is how refiners are named.
  const name = model?.replace(/ \[[0-9a-f]+\]$/, '').toLowerCase();
  return (
    models.find(
      ({ sha256 }) => modelHash !== undefined && modelHash !== '' && sha256.startsWith(modelHash),
    ) ?? models.find(({ pack }) => pack.id.toLowerCase() === name || pack.title.toLowerCase() === name)
  );
}

function fillSampler(form: GenerateForm, { sampler: label, schedule }: GenerationFields): string[] {
  if (label === undefined) return [];
  // Before version 1.9 the schedule was the end of the sampler's name: `DPM++ 2M Karras`.
  const sampler =
    samplers.find((known) => known.label === label) ??
    samplers.findLast((known) => label.startsWith(`${known.label} `));
  if (!sampler) return [label];
  form.samplerId = sampler.id;
  const wanted = schedule ?? label.slice(sampler.label.length).trim();
  form.scheduleId = schedules.find((known) => known.label === wanted)?.id ?? 'automatic';
  return [];
}

function fillVae(form: GenerateForm, { vae }: GenerationFields, addOns: readonly AddOnInfo[]): string[] {
  form.vae = '';
  if (vae === undefined) return [];
  const name = vae.replace(/\.\w+$/, '');
  const found = addOns.find(({ pack }) => pack.kind === 'vae' && (pack.id === name || pack.title === name));
  form.vae = found?.pack.id ?? '';
  return found ? [] : [vae];
}

/** What upscales under a name; null where it is not installed. */
export function findUpscaler(
  name: string,
  upscalers: readonly AddOnInfo[],
): UpscalerName | LatentUpscaleMode | null {
  return (
    [...PLAIN_UPSCALERS, ...LATENT_UPSCALE_MODES].find((known) => known === name) ??
    upscalers.find(({ pack }) => pack.id === name || pack.title === name)?.pack.id ??
    null
  );
}
