import type { FinishedImage } from '#api/run-job.ts';
import { blobToBase64 } from '#codecs/base64.ts';
import type { SettingValue } from '#protocol/settings.ts';
import { describeRun } from './describe-run.ts';
import {
  generate,
  openGeneration,
  type Generated,
  type Generation,
  type GenerationCall,
  type GenerationKind,
  type Made,
} from './generation.ts';
import type { GenerationBody } from './generation-rows.ts';
import { composeGrid } from './grid.ts';
import type { Plan } from './map.ts';
import { isOption, readOption } from './options.ts';
import { findScript, runScript } from './scripts/script.ts';

/** What txt2img and img2img answer. @throws AppError as the original, and the job's own failure */
export async function answerGeneration<Body extends GenerationBody>(
  call: GenerationCall<Body>,
  kind: GenerationKind<Body>,
  repeated: (body: Body) => Body = (body) => body,
): Promise<{ images: string[]; parameters: Body; info: string }> {
  const generation = await openGeneration(call, kind);
  const { body, overrides } = generation.request;
  const script = findScript(kind, body.script_name);
  const made = await (script ? runScript(script, generation) : runOnce(generation));
  if (!body.override_settings_restore_afterwards) await keepOverrides(call, made.plan, overrides);
  return {
    images: body.send_images ? await Promise.all(made.files.map(blobToBase64)) : [],
    parameters: repeated(generation.sent),
    info: describeRun(made.plan, made.record, made),
  };
}

async function runOnce<Body extends GenerationBody>(generation: Generation<Body>): Promise<Made> {
  const generated = await generate(generation);
  const { plan, record, images } = generated;
  const grid = await gridOf(plan, images);
  const infotexts = images.map(({ infotext }) => infotext);
  return {
    plan,
    record,
    files: [...(grid ? [grid] : []), ...filesOf(generated)],
    specs: plan.job.images,
    infotexts: grid ? [infotexts[0] ?? '', ...infotexts] : infotexts,
    firstImage: grid ? 1 : 0,
  };
}

/** Each image, followed by its mask and its masked part if requested. */
function filesOf({ images, masks }: Generated): Blob[] {
  return images.flatMap(({ index, blob }) => [
    blob,
    ...masks.filter(({ of }) => of === index).map((mask) => mask.blob),
  ]);
}

async function keepOverrides(
  call: Pick<GenerationCall<GenerationBody>, 'ask'>,
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
  if (!options.return_grid || !body.save_images || !enough) return null;
  return composeGrid(images, options, job.batchSize);
}
