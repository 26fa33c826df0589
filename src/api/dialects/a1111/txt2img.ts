import { screenParameters } from '#api/parameters.ts';
import { findModel } from '#api/models.ts';
import { validate } from '#api/fields.ts';
import { route, type Call } from '#api/route.ts';
import { finishedImages, type FinishedImage } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { SettingValue } from '#protocol/settings.ts';
import { readControlUnits } from './controlnet-unit.ts';
import { httpException } from './errors.ts';
import { composeGrid } from './grid.ts';
import { fieldsOfInfotext } from './infotext-fields.ts';
import { describeRun } from './describe-run.ts';
import { findLora } from './loras.ts';
import { EXTRA_NETWORK, planJob, type Plan } from './map.ts';
import { namesFile } from './names-file.ts';
import { effectiveOptions, isOption, optionParameters, readOption } from './options.ts';
import { TXT2IMG_JOB, type ProgressReply } from './progress.ts';
import { readScripts } from './scripts.ts';
import { txt2imgAnswer } from './schema.ts';
import { findStyles } from './styles.ts';
import { txt2imgBody, type Txt2imgBody } from './txt2img-body.ts';

type Txt2imgCall = Call<Txt2imgBody, undefined>;

export const txt2img = route({
  method: 'POST',
  path: '/sdapi/v1/txt2img',
  summary: 'Images from a prompt',
  body: txt2imgBody,
  answer: txt2imgAnswer,
  late: true,
  run: async (call) => {
    const { body, overrides } = applyInfotext(call);
    const controlNet = readScripts(body.script_name, body.alwayson_scripts, call.ignore);
    const [models, addOns, settings] = await call.ask((host) =>
      Promise.all([host.models(), host.addOns(), host.settings()]),
    );
    screenOverrides(call, overrides);
    const options = effectiveOptions(settings, overrides);
    // What was switched on by POST /options earlier is asked for as much as what the request says.
    screenParameters(optionParameters, options, options);
    const units = readControlUnits(controlNet, addOns, call.ignore);
    const plan = planJob(body, options, models, addOns, units);
    nameUnknown(call, plan, models, addOns);
    const { force_task_id: taskId } = body;
    const reply: ProgressReply = { job: TXT2IMG_JOB, ...(taskId !== null && { taskId }) };
    const record = await call.run(plan.job, { ...reply });
    if (!body.override_settings_restore_afterwards) await keepOverrides(call, plan, overrides);
    const images = await finishedImages(call.ask, record);
    const grid = await gridOf(plan, images);
    const files = [...(grid ? [grid] : []), ...images.map((image) => image.blob)];
    return {
      images: body.send_images ? await Promise.all(files.map(blobToBase64)) : [],
      parameters: body,
      info: describeRun(plan, record, images, grid ? (images[0]?.infotext ?? '') : null),
    };
  },
});

/** The request with what its `infotext` says filled in where the request itself says nothing. */
function applyInfotext({ body, received }: Txt2imgCall): {
  body: Txt2imgBody;
  overrides: Record<string, unknown>;
} {
  const own = body.override_settings ?? {};
  if (body.infotext === null || body.infotext === '') return { body, overrides: own };
  const { fields, overrides } = fieldsOfInfotext(body.infotext);
  const sent = typeof received === 'object' && received !== null ? received : {};
  const merged = validate(txt2imgBody.schema, { ...fields, ...sent }, 'body');
  if ('invalid' in merged) {
    const names = merged.invalid.map((invalid) => invalid.path.join('.'));
    throw httpException(422, `infotext has values that cannot be read: ${names.join(', ')}`);
  }
  return { body: merged.value, overrides: { ...overrides, ...own } };
}

function screenOverrides(call: Txt2imgCall, overrides: Readonly<Record<string, unknown>>): void {
  const values: Record<string, SettingValue> = {};
  for (const [name, value] of Object.entries(overrides)) {
    if (isOption(name)) values[name] = readOption(name, value);
  }
  const withoutEffect = screenParameters(optionParameters, overrides, values);
  call.ignore(...withoutEffect.map((name) => `override_settings.${name}`));
}

/** Names of things that are not there lead nowhere in the original, which says so only in its log. */
function nameUnknown(
  call: Txt2imgCall,
  { body, options, resolved, vae }: Plan,
  models: readonly ModelInfo[],
  addOns: readonly AddOnInfo[],
): void {
  call.ignore(...resolved.unknown);
  const styles = body.styles ?? [];
  if (findStyles(styles).length < styles.length) call.ignore('styles');
  const { sd_model_checkpoint: checkpoint, sd_lora: lora } = options;
  if (checkpoint !== null && !findModel(models, checkpoint))
    call.ignore('override_settings.sd_model_checkpoint');
  if (namesFile(options.sd_vae) && !vae) call.ignore('override_settings.sd_vae');
  if (namesFile(lora) && !findLora(addOns, lora)) call.ignore('override_settings.sd_lora');
  for (const [, kind = '', name = ''] of body.prompt.matchAll(EXTRA_NETWORK)) {
    if (!LORA_TAGS.includes(kind) || !findLora(addOns, name)) call.ignore(`prompt.<${kind}:${name}>`);
  }
}

/** Kinds of tags that name LoRA files; `lyco` is of an extension that the original took in. */
const LORA_TAGS = ['lora', 'lyco'];

async function keepOverrides(
  call: Txt2imgCall,
  plan: Plan,
  overrides: Readonly<Record<string, unknown>>,
): Promise<void> {
  const changes: Record<string, SettingValue> = {};
  for (const [name, value] of Object.entries(overrides)) {
    if (isOption(name) && name !== 'sd_model_checkpoint' && value !== null)
      changes[name] = readOption(name, value);
  }
  await call.ask(async (host) => {
    await host.updateSettings(changes);
    if (!plan.model.selected) await host.selectModel(plan.model.pack.id);
  });
}

/** All images in one, in front of them: only for those who also want them saved. */
function gridOf({ body, options, job }: Plan, images: readonly FinishedImage[]): Promise<Blob> | null {
  const enough = images.length > (options.grid_only_if_multiple ? 1 : 0);
  if (!options.return_grid || !body.save_images || !enough || job.output.format !== 'png') return null;
  return composeGrid(
    images.map((image) => image.blob),
    options.n_rows,
    job.batchSize,
  );
}
