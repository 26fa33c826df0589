import {
  LATENT_UPSCALE_MODES,
  PLAIN_UPSCALERS,
  type GenerateJob,
  type Job,
  type LatentUpscaleMode,
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
}

type Tasks = { readonly [Task in Job['task']]: TaskFacts<Extract<Job, { task: Task }>> };

const tasks: Tasks = {
  generate: {
    doing: 'Generating',
    done: 'generated',
    requirements: (job) => [
      ...job.passes.flatMap(({ model, vae, refiner, resizeBy }): Requirement[] => [
        { kind: 'model', id: model },
        ...named('model', refiner?.model),
        ...named('vae', vae),
        ...upscalers([resizeBy]),
      ]),
      ...(job.init.from === 'noise' ? [] : upscalers([job.init.resizeBy])),
      ...(job.loras ?? []).flatMap(({ id }) => named('lora', id)),
      ...(job.promptOptions.embeddings ?? []).flatMap((id) => named('embedding', id)),
      ...(job.controls ?? []).flatMap(({ id }) => named('controlnet', id)),
      ...job.post.flatMap(requirementsOfStep),
    ],
    countArtifacts: ({ images }) => images.length,
    batchSize: ({ batchSize }) => Math.max(1, batchSize),
    steps: ({ passes }) => passes.reduce((sum, { steps }) => sum + steps, 0),
    size: ({ passes }) => passes.at(-1)?.size ?? null,
    prompt: ({ images }, index) => images[index]?.prompt.join(' ') ?? '',
    source: ({ init }, index) => (init.from === 'noise' ? undefined : (init.images[index] ?? init.images[0])),
    generation: (job) => job,
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

/** The packs that a post step names. */
export function requirementsOfStep(step: PostStep): Requirement[] {
  return upscalers([step.upscaler, step.second?.upscaler]);
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
