import { findModel } from '#api/models.ts';
import { screenParameters, type Parameters } from '#api/parameters.ts';
import { validate } from '#api/fields.ts';
import type { Call } from '#api/route.ts';
import { finishedImages, type FinishedImage } from '#api/run-job.ts';
import type { JobRecord, MaskArtifact, SoftInpainting } from '#protocol/job.ts';
import type { SettingValue } from '#protocol/settings.ts';
import { readDetailer, type Detailer } from './adetailer-unit.ts';
import { readAlwaysOn } from './always-on.ts';
import type { Installed } from './checkpoints.ts';
import { readControlUnits, type ControlUnit, type UnitContext } from './controlnet-unit.ts';
import type { Described } from './describe-run.ts';
import { httpException } from './errors.ts';
import type { GenerationBody } from './generation-rows.ts';
import { readImage } from './image-input.ts';
import { fieldsOfInfotext } from './infotext-fields.ts';
import { findLora } from './loras.ts';
import type { Plan } from './map.ts';
import { namesFile } from './names-file.ts';
import { effectiveOptions, isOption, optionParameters, readOption, type Options } from './options.ts';
import type { ProgressReply } from './progress.ts';
import { EXTRA_NETWORK } from './prompt.ts';
import type { Script } from './scripts/script.ts';
import { findStyles } from './styles.ts';

/** What a route makes its plan from. */
export interface GenerationRequest<Body extends GenerationBody> {
  body: Body;
  /** The options in force, the request's overrides included. */
  options: Options;
  /** The request's overrides, those of its infotext included. */
  overrides: Readonly<Record<string, unknown>>;
  installed: Installed;
  soft: SoftInpainting | null;
  detailer: Detailer | null;
  /** The ControlNet units. */
  unitsFor: (context: UnitContext) => Promise<ControlUnit[]>;
  /** An image file that a field has as base64, data URI or URL. */
  read: (image: string, field: string) => Promise<Blob>;
}

/** What differs between txt2img and img2img. */
export interface GenerationKind<Body extends GenerationBody> {
  isImg2img: boolean;
  /** What `/progress` calls it. */
  jobName: string;
  parameters: Parameters<Body>;
  /** The scripts that can be run by `script_name`. */
  scripts: readonly Script<Body>[];
  /** @throws AppError as the original, or for what cannot be generated */
  plan: (request: GenerationRequest<Body>) => Promise<Plan>;
}

export type GenerationCall<Body extends GenerationBody> = Call<Body, undefined>;

/** A request that is read and not run yet. */
export interface Generation<Body extends GenerationBody> {
  kind: GenerationKind<Body>;
  call: GenerationCall<Body>;
  /** The request as the answer repeats it. */
  sent: Body;
  /** The same with what the always-on scripts ask for. */
  request: GenerationRequest<Body>;
}

/** What one run has made. */
export interface Generated {
  plan: Plan;
  record: JobRecord;
  images: FinishedImage[];
  /** By-products, each of the image whose index it has. */
  masks: MaskArtifact[];
}

/** What a request is answered with. */
export interface Made extends Described {
  /** Of the first run. */
  plan: Plan;
  record: JobRecord;
  /** The images of the answer, grids included. */
  files: readonly Blob[];
}

/** Reads a request: infotext, scripts and options. @throws AppError as the original */
export async function openGeneration<Body extends GenerationBody>(
  call: GenerationCall<Body>,
  kind: GenerationKind<Body>,
): Promise<Generation<Body>> {
  const { body, overrides } = applyInfotext(call, kind.parameters);
  const { changes, soft, controlNet, detailer } = readAlwaysOn(
    body.alwayson_scripts,
    kind.isImg2img,
    kind.scripts.map(({ title }) => title.toLowerCase()),
  );
  const [models, addOns, settings] = await call.ask((host) =>
    Promise.all([host.models(), host.addOns(), host.settings()]),
  );
  screenOverrides(call, overrides);
  const options = effectiveOptions(settings, overrides);
  // An option set earlier by POST /options counts like a field of the request.
  screenParameters(optionParameters, options, options);
  const unitsFor = (context: UnitContext) => readControlUnits(controlNet, addOns, call.ignore, context);
  const read = (image: string, field: string) => readImage(call, image, options, field);
  return {
    kind,
    call,
    sent: body,
    request: {
      body: { ...body, ...changes },
      options,
      overrides,
      installed: { models, addOns },
      soft,
      detailer: await readDetailer(detailer, addOns, call.ignore),
      unitsFor,
      read,
    },
  };
}

/**
 * Runs a request.
 * @param revise how one of a script's runs differs from that of a request
 * @throws AppError as the original, and the job's own failure
 */
export async function generate<Body extends GenerationBody>(
  { kind, call, request }: Generation<Body>,
  revise: (plan: Plan) => Plan = (plan) => plan,
): Promise<Generated> {
  const plan = revise(await kind.plan(request));
  nameUnknown(call, plan, request.installed);
  const { force_task_id: taskId } = request.body;
  const reply: ProgressReply = {
    job: kind.jobName,
    ...(taskId !== null && { taskId }),
  };
  const record = await call.run(plan.job, { ...reply });
  const artifacts = record.result?.artifacts ?? [];
  return {
    plan,
    record,
    images: await finishedImages(call.ask, record),
    masks: artifacts.filter((artifact) => artifact.kind === 'mask'),
  };
}

/** The request with what its `infotext` says filled in where the request itself says nothing. */
function applyInfotext<Body extends GenerationBody>(
  { body, received }: GenerationCall<Body>,
  { schema }: Parameters<Body>,
): { body: Body; overrides: Record<string, unknown> } {
  const own = body.override_settings ?? {};
  if (body.infotext === null || body.infotext === '') return { body, overrides: own };
  const { fields, overrides } = fieldsOfInfotext(body.infotext);
  const sent = typeof received === 'object' && received !== null ? received : {};
  const merged = validate(schema, { ...fields, ...sent }, 'body');
  if ('invalid' in merged) {
    const names = merged.invalid.map((invalid) => invalid.path.join('.'));
    throw httpException(422, `infotext has values that cannot be read: ${names.join(', ')}`);
  }
  return { body: merged.value, overrides: { ...overrides, ...own } };
}

type Ignoring = Pick<Call<unknown, unknown>, 'ignore'>;

/** Names overrides without effect. @throws AppError for those that ask for what is missing */
export function screenOverrides(call: Ignoring, overrides: Readonly<Record<string, unknown>>): void {
  const values: Record<string, SettingValue> = {};
  for (const [name, value] of Object.entries(overrides)) {
    if (isOption(name)) values[name] = readOption(name, value);
  }
  const withoutEffect = screenParameters(optionParameters, overrides, values);
  call.ignore(...withoutEffect.map((name) => `override_settings.${name}`));
}

/** Names of things that are not there lead nowhere in the original, which says so only in its log. */
function nameUnknown(
  call: Pick<Call<unknown, unknown>, 'ignore' | 'lack'>,
  { body, options, unknown, vae }: Plan,
  { models, addOns }: Installed,
): void {
  call.ignore(...unknown);
  const styles = body.styles ?? [];
  if (findStyles(styles).length < styles.length) call.ignore('styles');
  const { sd_model_checkpoint: checkpoint, sd_lora: lora } = options;
  if (checkpoint !== null && !findModel(models, checkpoint))
    call.lack('override_settings.sd_model_checkpoint');
  if (namesFile(options.sd_vae) && !vae) call.lack('override_settings.sd_vae');
  if (namesFile(lora) && !findLora(addOns, lora)) call.lack('override_settings.sd_lora');
  for (const [, kind = '', name = ''] of body.prompt.matchAll(EXTRA_NETWORK)) {
    if (!LORA_TAGS.includes(kind) || !findLora(addOns, name)) call.ignore(`prompt.<${kind}:${name}>`);
  }
}

/** Kinds of tags that name LoRA files; `lyco` is of an extension that the original took in. */
const LORA_TAGS = ['lora', 'lyco'];
