import type { Describer } from './describer.ts';
import type { Finder } from './finder.ts';
import type { ImageKind, MadeBy } from './gallery.ts';
import { INCLUDED } from './included.ts';
import {
  LATENT_UPSCALE_MODES,
  PLAIN_UPSCALERS,
  type ControlPreprocessor,
  type ControlSpec,
  type GenerateJob,
  type Job,
  type LatentUpscaleMode,
  type MaskedInit,
  type Pass,
  type PostStep,
  type Size,
  type UpscalerName,
} from './job.ts';
import type { ModelId, PackKind } from './model.ts';

/** A pack that must be installed before a job can run. */
export interface Requirement {
  kind: PackKind;
  id: ModelId;
}

/** What host, queue, progress, UI and dialects must know about a task. None of them looks at `job.task`. */
interface TaskFacts<J extends Job> {
  /** What is being done, for people: `Generating`. */
  doing: string;
  /** What was done: `generated`. */
  done: string;
  /** All packs the job names, of any kind. */
  requirements(job: J): Requirement[];
  countArtifacts(job: J): number;
  /** How many artifacts are made at a time. */
  batchSize(job: J): number;
  /** Steps of one batch, all passes together; 0 where they are not known before. */
  steps(job: J): number;
  /** Pixels of the finished images; null where their sources decide. */
  size(job: J): Size | null;
  /** The prompt of artifact `index`; empty if it has none. */
  prompt(job: J, index: number): string;
  /** The image that artifact `index` is made of. */
  source(job: J, index: number): Blob | undefined;
  /** The job, if its prompts and passes can be reused for another one. */
  generation(job: J): GenerateJob | null;
  /** What galleries filter its images by. */
  madeBy(job: J): MadeBy;
}

type Tasks = { readonly [Task in Job['task']]: TaskFacts<Extract<Job, { task: Task }>> };

/** Of tasks that make one thing of an image, and no image. */
const ofOneImage = {
  countArtifacts: () => 1,
  batchSize: () => 1,
  steps: () => 0,
  size: () => null,
  prompt: () => '',
  source: ({ image }: { image: Blob }) => image,
  generation: () => null,
  madeBy: () => ({ model: null, kind: null }),
} as const;

const KIND_OF_INIT = { noise: 'text', image: 'image', masked: 'edit' } as const satisfies Record<
  GenerateJob['init']['from'],
  ImageKind
>;

const tasks: Tasks = {
  generate: {
    doing: 'Generating',
    done: 'generated',
    requirements: (job) => [
      ...job.passes.flatMap(requirementsOfPass),
      ...job.images.flatMap(({ expansion }) => named('prompt-expansion', expansion?.model)),
      ...(job.init.from === 'noise' ? [] : upscalers([job.init.resizeBy])),
      ...(job.init.from === 'masked' ? requirementsOfPatch(job.init) : []),
      ...(job.loras ?? []).flatMap(({ id }) => named('lora', id)),
      ...(job.promptOptions.embeddings ?? []).flatMap((id) => named('embedding', id)),
      ...(job.imagePrompts ?? []).flatMap(({ id, clipVision, fit }) => [
        ...named('ip-adapter', id),
        ...named('clip-vision', clipVision),
        ...(fit === 'face' ? [INCLUDED.faces] : []),
      ]),
      ...(job.controls ?? []).flatMap(requirementsOfControl),
      ...job.post.flatMap(requirementsOfStep),
    ],
    countArtifacts: ({ images }) => images.length,
    batchSize: ({ batchSize }) => Math.max(1, batchSize),
    steps: ({ passes }) => passes.reduce((sum, { steps }) => sum + steps, 0),
    size: ({ passes }) => passes.at(-1)?.size ?? null,
    prompt: ({ images }, index) => images[index]?.prompt.join(' ') ?? '',
    source: ({ init }, index) => (init.from === 'noise' ? undefined : (init.images[index] ?? init.images[0])),
    generation: (job) => job,
    madeBy: ({ init, passes: [{ model }] }) => ({ model, kind: KIND_OF_INIT[init.from] }),
  },
  upscale: {
    doing: 'Upscaling',
    done: 'upscaled',
    requirements: ({ post }) => post.flatMap(requirementsOfStep),
    countArtifacts: ({ sources }) => sources.length,
    batchSize: () => 1,
    steps: () => 0,
    size: () => null,
    prompt: ({ sources }, index) => sources[index]?.known?.prompt ?? '',
    source: ({ sources }, index) => sources[index]?.image,
    generation: () => null,
    madeBy: () => ({ model: null, kind: 'upscale' }),
  },
  'find-mask': {
    doing: 'Finding a mask',
    done: 'masked',
    requirements: ({ finder }) => requirementsOfFinder(finder),
    ...ofOneImage,
  },
  describe: {
    doing: 'Describing',
    done: 'described',
    requirements: ({ describer }) => requirementsOfDescriber(describer),
    ...ofOneImage,
  },
  'check-safety': {
    doing: 'Checking',
    done: 'checked',
    requirements: ({ check }) => named('safety-checker', check.checker),
    ...ofOneImage,
  },
  preprocess: {
    doing: 'Preprocessing',
    done: 'preprocessed',
    requirements: ({ preprocessor }) => requirementsOfPreprocessor(preprocessor),
    ...ofOneImage,
  },
};

/** The facts of a job's task. */
export function factsOf<J extends Job>(job: J): TaskFacts<J> {
  // The table has each task's own facts under its own name.
  return tasks[job.task] as unknown as TaskFacts<J>;
}

/** Every pack that must be installed for a job, each once. */
export function requirementsOf(job: Job): Requirement[] {
  const all = factsOf(job).requirements(job);
  return all.filter(
    ({ kind, id }, index) => all.findIndex((other) => other.kind === kind && other.id === id) === index,
  );
}

/** How many artifacts a job makes. */
export function countArtifacts(job: Job): number {
  return factsOf(job).countArtifacts(job);
}

function named(kind: PackKind, id: ModelId | undefined): Requirement[] {
  return id === undefined ? [] : [{ kind, id }];
}

/** The packs that finding something takes. */
function requirementsOfFinder(finder: Finder): Requirement[] {
  switch (finder.kind) {
    case 'everything':
      return [];
    case 'faces':
      return [INCLUDED.faces];
    case 'person':
      return [INCLUDED.personMask];
    case 'salient':
    case 'points':
      return [{ kind: 'finder', id: finder.model }];
    case 'text':
      return [{ kind: 'finder', id: finder.model }, ...named('finder', finder.segmenter)];
  }
}

/** The pack that a describer is in. */
function requirementsOfDescriber(describer: Describer): Requirement[] {
  return [describer.kind === 'built-in' ? INCLUDED.describer : { kind: describer.kind, id: describer.model }];
}

function requirementsOfControl({ id, preprocessor }: ControlSpec): Requirement[] {
  return [...named('controlnet', id), ...requirementsOfPreprocessor(preprocessor)];
}

/** The packs that a preprocessor takes: none, if it needs no network. */
function requirementsOfPreprocessor(preprocessor: ControlPreprocessor): Requirement[] {
  switch (preprocessor.kind) {
    case 'openpose':
      return [INCLUDED.pose, INCLUDED.faces];
    case 'depth':
    case 'normal':
      return [{ kind: 'preprocessor', id: preprocessor.model }];
    default:
      return [];
  }
}

function requirementsOfPass({ model, vae, refiner, resizeBy }: Pass): Requirement[] {
  return [
    { kind: 'model', id: model },
    ...named('model', refiner?.model),
    ...named('vae', vae),
    ...upscalers([resizeBy]),
  ];
}

function requirementsOfPatch({ patch }: Pick<MaskedInit, 'patch'>): Requirement[] {
  return [...named('inpaint-patch', patch?.head), ...named('inpaint-patch', patch?.weights)];
}

/** The packs that a post step names. */
export function requirementsOfStep(step: PostStep): Requirement[] {
  switch (step.kind) {
    case 'upscale':
      return upscalers([step.upscaler, step.second?.upscaler]);
    case 'safety':
      return named('safety-checker', step.checker);
    case 'restore-faces':
      return [{ kind: 'face-restorer', id: step.restorer }, INCLUDED.faces];
    case 'detail':
      return [
        ...requirementsOfFinder(step.finder),
        ...requirementsOfPass(step.pass),
        ...requirementsOfPatch(step.inpaint),
        ...(step.prompts ?? []).flatMap((prompt) =>
          prompt === 'skip' ? [] : named('prompt-expansion', prompt.expansion?.model),
        ),
        ...(step.loras ?? []).flatMap(({ id }) => named('lora', id)),
        ...(step.promptOptions.embeddings ?? []).flatMap((id) => named('embedding', id)),
        ...(step.controls ?? []).flatMap(requirementsOfControl),
      ];
  }
}

function upscalers(names: readonly (UpscalerName | LatentUpscaleMode | undefined)[]): Requirement[] {
  return names.flatMap((name) =>
    name !== undefined && isNetworkUpscaler(name) ? [{ kind: 'upscaler', id: name }] : [],
  );
}

/** Whether it is an upscaler that has to be installed. */
function isNetworkUpscaler(name: UpscalerName | LatentUpscaleMode): name is ModelId {
  return ![...PLAIN_UPSCALERS, ...LATENT_UPSCALE_MODES].some((known) => known === name);
}
