import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createEngine } from '#engine/engine.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import { writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { Job, GeneratedImage } from '#protocol/job.ts';
import type { AddOnKind, AddOnPack, AnyPack, ConfigFile, ModelFamily, ModelPack } from '#protocol/model.ts';
import { withPass } from './jobs.ts';
import { openNodeRuntime } from './node-engine.ts';

/** A pack and the bytes of its files. */
export interface FilledPack<P extends AnyPack> {
  pack: P;
  files: Readonly<Record<string, Blob | undefined>>;
}

/** SD 1.5's scheduler, as its repository has it. */
const SCHEDULER_CONFIG: ConfigFile = {
  _class_name: 'PNDMScheduler',
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
};

const LICENCE = { licence: { name: 'unknown' }, credits: '', url: null };

const hashOf = async (blob: Blob) =>
  createHash('sha256')
    .update(new Uint8Array(await blob.arrayBuffer()))
    .digest('hex');

async function listFiles(files: Readonly<Record<string, Blob>>) {
  const listed = Object.entries(files).map(async ([path, blob]) => ({
    path,
    sizeBytes: blob.size,
    sha256: await hashOf(blob),
  }));
  return Promise.all(listed);
}

/** A model of these files, with CLIP's tokenizer and configurations that an import would have worked out. */
export async function modelPack(
  files: Readonly<Record<string, Blob>>,
  {
    id = 'tiny',
    family = 'sd1',
    weights = 'safetensors',
    downscale = 8,
    configs = {},
  }: Partial<Pick<ModelPack, 'id' | 'family' | 'weights' | 'configs'>> & { downscale?: number } = {},
): Promise<FilledPack<ModelPack>> {
  const fixture = (name: string) =>
    new Blob([readFileSync(new URL(`../fixtures/clip-tokenizer/${name}`, import.meta.url))]);
  const all = {
    ...files,
    'tokenizer/vocab.json': fixture('vocab.json'),
    'tokenizer/merges.txt': fixture('merges.txt'),
  };
  return {
    files: all,
    pack: {
      id,
      title: `Tiny ${family}`,
      description: '',
      ...LICENCE,
      kind: 'model',
      family,
      weights,
      files: await listFiles(all),
      configs: { 'scheduler/scheduler_config.json': SCHEDULER_CONFIG, ...configs },
      trainedSizes: [[64, 64]],
      sizing: 'exact',
      latent: { channels: 4, downscale, sizeMultiple: 64, scalingFactor: 0.18215 },
      defaults: {
        width: 64,
        height: 64,
        steps: 2,
        guidanceScale: 4,
        sampler: 'Euler',
        schedule: 'Automatic',
      },
    },
  };
}

/** An add-on of one file. */
export async function addOnPack(
  kind: AddOnKind,
  id: string,
  file: Blob,
  { family = null, title = id }: { family?: ModelFamily | null; title?: string } = {},
): Promise<FilledPack<AddOnPack>> {
  const files = { [`${id}.safetensors`]: file };
  const listed = await listFiles(files);
  return { files, pack: { id, title, description: '', ...LICENCE, kind, family, files: listed } };
}

/** The tensors of a source as a `.safetensors` file. */
export async function fileOf(source: TensorSource): Promise<Blob> {
  const parts: BlobPart[] = [];
  for await (const part of writeSafetensors(source)) parts.push(part);
  return new Blob(parts);
}

/** An engine in Node that finds the files of these packs. */
export function engineFor(packs: readonly FilledPack<AnyPack>[]): EngineWorker {
  return createEngine(openNodeRuntime, (pack): ReadFile => {
    const found = packs.find((each) => each.pack === pack);
    return (path) => Promise.resolve(found?.files[path]);
  });
}

/** What came of a job. */
export interface Generated {
  images: GeneratedImage[];
  /** The files of the images. */
  pngs: Uint8Array[];
  notes: readonly string[];
}

/** Runs a job to its end, all its passes with this model if it has any. */
export async function generate(
  engine: EngineWorker,
  model: FilledPack<ModelPack> | null,
  job: Job,
  addOns: readonly FilledPack<AddOnPack>[] = [],
): Promise<Generated> {
  const installed = [...(model ? [model] : []), ...addOns].map(({ pack }) => pack);
  const own = model && 'passes' in job ? withPass(job, { model: model.pack.id }) : job;
  return runToEnd(engine, installed, own);
}

/** Runs a job to its end with these packs installed. */
export async function runToEnd(
  engine: EngineWorker,
  installed: readonly AnyPack[],
  job: Job,
): Promise<Generated> {
  const images: GeneratedImage[] = [];
  const files: Blob[] = [];
  const { notes } = await engine.run(installed, job, (event) => {
    if (event.type !== 'artifact') return;
    images.push(event.artifact.image);
    files.push(event.file);
  });
  const pngs = await Promise.all(files.map(async (file) => new Uint8Array(await file.arrayBuffer())));
  return { images, pngs, notes };
}
