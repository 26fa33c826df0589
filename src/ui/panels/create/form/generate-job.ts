import { describeImagePrompt, describeUnit } from '#codecs/infotext-control.ts';
import { FACE_RESTORATION, pythonFloat, type InfotextPair } from '#codecs/infotext.ts';
import { hiresSizes } from '#imaging/a1111/hires-size.ts';
import type { PromptTexts } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import { BUILT_IN_RESTORER, restorationStep, type RestoringGeneration } from '#protocol/face-restoration.ts';
import type {
  GenerateJob,
  ImagePromptSpec,
  ImageSpec,
  Init,
  MaskedInit,
  Pass,
  PostStep,
  Size,
} from '#protocol/job.ts';
import type { AddOnInfo, AddOnKind, ModelId, ModelInfo } from '#protocol/model.ts';
import { fitsVisionModel, neededVisionModel } from '#protocol/vision-widths.ts';
import { LARGEST_SEED, plainControl, type GenerateForm } from './generate-form.svelte.ts';
import { CELL } from './shapes.ts';
import { activeOf, isOn } from './switchable.ts';

/** What a job needs besides the form. */
export interface JobParts {
  model: ModelInfo;
  /** Those that go with the model; a VAE or ControlNets chosen for another one are left out. */
  addOns: readonly AddOnInfo[];
  /** White where the image is generated again; null where nothing is marked. */
  mask: Blob | null;
  /** The image to edit, with its layers merged into it; the form's own where there are none. */
  edited?: Blob | undefined;
  /** The form's prompts with its styles applied. */
  texts: PromptTexts;
}

/** As infotexts name what is in the mask; A1111 leaves out its default. */
const FILL_LABELS: Readonly<Partial<Record<MaskedInit['fill'], string>>> = {
  fill: 'fill',
  'latent-noise': 'latent noise',
  'latent-nothing': 'latent nothing',
};

/**
 * The job of a form in a mode that generates, with its seeds chosen: image i has seed + i, and noise is generated as in A1111.
 * Of several init images, each is used for as many images as requested.
 * @throws AppError `invalid_request` when there is no prompt, no image, nothing to edit, or the seed is not a 64-bit number
 */
export function generateJob(form: GenerateForm, parts: JobParts): GenerateJob {
  const { model, addOns } = parts;
  const prompt = form.prompt.trim();
  const init = initOf(form, parts);
  if (prompt === '' && init.from === 'noise')
    throw new AppError('invalid_request', 'Write a prompt first: what should the image show?');
  const goesAlong = (kind: AddOnKind, id: ModelId) =>
    addOns.some(({ pack }) => pack.kind === kind && pack.id === id);
  const isOwnGraph = hasOwnGraph(model);
  const controls = isOwnGraph
    ? form.controls.filter((control) => isOn(control) && goesAlong('controlnet', control.id))
    : [];
  const refiner = activeOf(form.refiner);
  const faces = activeOf(form.faces);
  const imagePrompts = isOwnGraph ? imagePromptsOf(form, addOns) : [];
  const passes = passesOf(form, parts);
  const [first, second] = passes;
  const hashOf = (kind: AddOnKind, id: ModelId) =>
    addOns.find(({ pack }) => pack.kind === kind && pack.id === id)?.sha256 ?? '';
  const base = {
    noise: { source: 'philox', subseedStrength: 0, etaNoiseSeedDelta: 0 },
    promptOptions: { syntax: 'a1111', emphasis: 'original', clipSkip: 1, commaPaddingBacktrack: 20 },
  } as const;
  return {
    task: 'generate',
    images: imagesOfForm(form, parts.texts, init),
    batchSize: form.batchSize,
    init: repeated(init, form.count),
    passes,
    ...base,
    ...(controls.length > 0 && { controls: controls.map(plainControl) }),
    ...(imagePrompts.length > 0 && { imagePrompts }),
    post: faces ? [facesStep(faces, addOns, { ...base, pass: first, model: model.pack })] : [],
    keepUnfinished: false,
    output: {
      format: 'png',
      quality: 1,
      metadata: {
        samplerLabel: form.sampler.label,
        scheduleLabel:
          form.scheduleId === 'automatic' ? form.sampler.automaticSchedule : (form.schedule?.label ?? null),
        extra: [
          ...controls.map((control, index): InfotextPair => [
            `ControlNet ${index}`,
            describeUnit(control, hashOf('controlnet', control.id)),
          ]),
          ...imagePrompts.map((prompt, index): InfotextPair => [
            `ControlNet ${controls.length + index}`,
            describeImagePrompt(prompt, 'ip-adapter-auto', hashOf('ip-adapter', prompt.id)),
          ]),
          ...(first.graph?.deepCache === undefined
            ? []
            : [['DeepCache interval', String(first.graph.deepCache)] satisfies InfotextPair]),
          ...maskPairs(init),
          ...(second ? hiresPairs(form, second) : []),
          ...(refiner ? refinerPairs(refiner) : []),
        ],
      },
    },
  };
}

/** Of a tile's side: what it shares with its neighbor, as where memory decides on tiles. */
const TILE_OVERLAP = 0.25;

/** The runs of denoising that a form asks for: one, or two with hires fix. */
export function passesOf(
  form: GenerateForm,
  { model, addOns }: Pick<JobParts, 'model' | 'addOns'>,
): readonly [Pass, ...Pass[]] {
  const refiner = activeOf(form.refiner);
  const hasVae = addOns.some(({ pack }) => pack.kind === 'vae' && pack.id === form.vae);
  const isSeamless = hasOwnGraph(model) && form.tiling;
  const reuses = hasOwnGraph(model) && form.deepCache > 1;
  const graph = { ...(isSeamless && { tiling: true }), ...(reuses && { deepCache: form.deepCache }) };
  const first: Pass = {
    model: model.pack.id,
    ...(hasVae && { vae: form.vae }),
    ...(refiner && { refiner: { ...refiner, counts: 'timestep' as const } }),
    size: form.sizeFor(model.pack),
    steps: form.steps,
    strength: form.mode === 'text' ? 1 : form.strength,
    sampler: form.samplerChoice(),
    guidanceScale: form.guidanceScale,
    ...(Object.keys(graph).length > 0 && { graph }),
    // Tiles of a seamless image have no opposite borders.
    ...(form.tileSize > 0 &&
      !isSeamless && { tiles: { size: form.tileSize, overlap: form.tileSize * TILE_OVERLAP } }),
  };
  const second = form.mode === 'edit' ? null : hiresPass(form, first);
  return second ? [first, second] : [first];
}

function hasOwnGraph({ pack }: ModelInfo): boolean {
  return pack.weights === 'safetensors';
}

/** The restoration of faces; one that is no longer installed gives way to the built-in one. */
function facesStep(
  { restorer: id, visibility, weight }: NonNullable<GenerateForm['faces']>,
  addOns: readonly AddOnInfo[],
  generation: RestoringGeneration,
): PostStep {
  const restorer = addOns.find(({ pack }) => pack.kind === 'face-restorer' && pack.id === id)?.pack;
  const name = restorer?.title ?? BUILT_IN_RESTORER;
  return restorationStep(
    { restorer: restorer?.id ?? null, visibility, weight, infotext: [[FACE_RESTORATION, name]] },
    () => generation,
  );
}

/** The form's image prompts that fit the model, each with the CLIP vision model of its IP-Adapter. */
function imagePromptsOf(form: GenerateForm, addOns: readonly AddOnInfo[]): ImagePromptSpec[] {
  return form.imagePrompts.filter(isOn).flatMap((prompt) => {
    const adapter = addOns.find(({ pack }) => pack.kind === 'ip-adapter' && pack.id === prompt.id)?.pack;
    if (!adapter) return [];
    const { vision = {} } = adapter;
    const encoder = addOns.find(
      ({ pack }) => pack.kind === 'clip-vision' && pack.vision && fitsVisionModel(vision, pack.vision),
    );
    if (encoder) return [{ ...prompt, clipVision: encoder.pack.id }];
    throw new AppError(
      'model_not_found',
      `${adapter.title} needs ${neededVisionModel(vision)}. Add it in Models, or remove the image prompt.`,
    );
  });
}

function imagesOfForm(form: GenerateForm, texts: PromptTexts, init: Init): ImageSpec[] {
  if (!form.seedIsValid)
    throw new AppError('invalid_request', `A seed is a whole number from 0 to ${LARGEST_SEED.toString()}.`);
  const firstSeed = form.hasRandomSeed ? randomSeed() : BigInt(form.seed);
  const inits = init.from === 'noise' ? 1 : init.images.length;
  return Array.from({ length: form.count * inits }, (_, index): ImageSpec => ({
    prompt: [texts.prompt],
    negativePrompt: [texts.negativePrompt],
    seed: BigInt.asUintN(64, firstSeed + BigInt(index)),
    subseed: 0n,
  }));
}

function initOf(form: GenerateForm, { mask, edited }: Pick<JobParts, 'mask' | 'edited'>): Init {
  const blobs = form.sources.map(({ blob }) => blob);
  const [first] = blobs;
  if (form.mode === 'text') return { from: 'noise' };
  if (!first) throw new AppError('invalid_request', 'Add an image to start from.');
  if (form.mode === 'image') return { from: 'image', rules: 'a1111', images: blobs, fit: form.fit };
  const { fill, area, padding, blur } = form.edit;
  const expand = { ...form.edit.expand };
  const isLarger = Object.values(expand).some((pixels) => pixels > 0);
  if (!mask && !isLarger) {
    throw new AppError(
      'invalid_request',
      'Mark the area to inpaint with the brush, or extend the image on its sides.',
    );
  }
  return {
    from: 'masked',
    rules: 'a1111',
    images: [edited ?? first],
    fit: 'crop',
    mask: mask ? { kind: 'image', mask, invert: false } : { kind: 'none' },
    ...(isLarger && { expand }),
    fill: fill === 'auto' ? (isLarger ? 'fill' : 'original') : fill,
    blur: { x: blur, y: blur },
    round: true,
    area: area === 'whole' ? 'whole' : { padding },
    overlay: true,
  };
}

/** Each init image, repeated for every image made from it. */
function repeated(init: Init, count: number): Init {
  if (init.from === 'noise' || init.images.length === 1) return init;
  return { ...init, images: init.images.flatMap((image) => Array.from({ length: count }, () => image)) };
}

/** A1111's hires fix: as many steps as requested at any strength. */
function hiresPass(form: GenerateForm, first: Pass): Pass | null {
  const hires = activeOf(form.hires);
  if (!hires) return null;
  const { scale, resizeBy, steps, strength } = hires;
  const { upscaleTo } = hiresSizes({ size: first.size, scale, resize: { width: 0, height: 0 } });
  const size: Size = { width: wholeCells(upscaleTo.width), height: wholeCells(upscaleTo.height) };
  const { refiner, ...pass } = first;
  const ends = refiner ? { refiner } : {};
  return { ...pass, ...ends, size, resizeBy, steps: steps || first.steps, strength, exactSteps: true };
}

function wholeCells(side: number): number {
  return Math.floor(side / CELL) * CELL;
}

function hiresPairs({ hires }: GenerateForm, { resizeBy }: Pass): InfotextPair[] {
  if (!hires) return [];
  return [
    ['Hires upscale', pythonFloat(hires.scale)],
    ...(hires.steps === 0 ? [] : [['Hires steps', String(hires.steps)] as const]),
    ['Hires upscaler', resizeBy ?? 'Lanczos'],
  ];
}

function refinerPairs({ model, switchAt }: NonNullable<GenerateForm['refiner']>): InfotextPair[] {
  return [
    ['Refiner', model],
    ['Refiner switch at', pythonFloat(switchAt)],
  ];
}

function maskPairs(init: Init): InfotextPair[] {
  if (init.from !== 'masked') return [];
  const { blur, area, fill } = init;
  const padding = typeof area === 'object' && 'padding' in area ? area.padding : null;
  const content = FILL_LABELS[fill];
  return [
    ...(blur.x > 0 ? [['Mask blur', String(blur.x)] as const] : []),
    ...(padding === null
      ? []
      : [['Inpaint area', 'Only masked'] as const, ['Masked area padding', String(padding)] as const]),
    ...(content === undefined ? [] : [['Masked content', content] as const]),
  ];
}

/** 32 random bits, as A1111 draws them: short enough to be read aloud. */
export function randomSeed(): bigint {
  const [bits = 0] = crypto.getRandomValues(new Uint32Array(1));
  return BigInt(bits);
}
