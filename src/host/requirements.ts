import { AppError } from '#protocol/error.ts';
import type { Job } from '#protocol/job.ts';
import type { AnyPack, ModelId, PackKind } from '#protocol/model.ts';
import { requirementsOf, type Requirement } from '#protocol/tasks.ts';

/** What each kind is called, and how to run the job without it. */
const kinds: Readonly<Record<PackKind, { article: 'a' | 'an'; name: string; otherwise: string }>> = {
  model: { article: 'a', name: 'checkpoint', otherwise: 'choose another checkpoint' },
  vae: { article: 'a', name: 'VAE', otherwise: 'clear the VAE setting' },
  lora: { article: 'a', name: 'LoRA', otherwise: 'leave the LoRA out' },
  embedding: { article: 'an', name: 'embedding', otherwise: 'leave the embedding out' },
  controlnet: { article: 'a', name: 'ControlNet', otherwise: 'remove its control image' },
  upscaler: { article: 'an', name: 'upscaler', otherwise: 'choose another upscaler' },
  'safety-checker': { article: 'a', name: 'safety checker', otherwise: 'turn the safety checker off' },
  'face-restorer': { article: 'a', name: 'face restoration model', otherwise: 'choose another restorer' },
  finder: { article: 'a', name: 'model that finds things', otherwise: 'choose another way to make the mask' },
  preprocessor: { article: 'a', name: 'preprocessor', otherwise: 'choose another preprocessor' },
  tagger: { article: 'a', name: 'tagger', otherwise: 'choose another way to describe the image' },
  captioner: { article: 'a', name: 'caption model', otherwise: 'choose another way to describe the image' },
  'prompt-expansion': {
    article: 'a',
    name: 'prompt expansion model',
    otherwise: 'leave the prompt expansion out',
  },
  'ip-adapter': { article: 'an', name: 'IP-Adapter', otherwise: 'remove its image prompt' },
  'clip-vision': { article: 'a', name: 'CLIP vision model', otherwise: 'remove the image prompt' },
  'inpaint-patch': { article: 'an', name: 'inpaint patch', otherwise: 'inpaint without it' },
};

/** The packs on this machine. */
export interface KnownPacks {
  find(id: ModelId): AnyPack | undefined;
  /** Whether it is installed or on its way. */
  isComing(id: ModelId): boolean;
}

/** @throws AppError `model_not_found` that says of each pack that a job requires and that is neither here nor on its way how to get it */
export function checkRequirements(job: Job, packs: KnownPacks): void {
  const problems = requirementsOf(job).flatMap((requirement) => {
    const problem = problemWith(requirement, packs);
    return problem === null ? [] : [{ ...requirement, problem }];
  });
  const [first] = problems;
  if (!first) return;
  throw new AppError('model_not_found', problems.map(({ problem }) => problem).join(' '), {
    detail: { model: first.id, kind: first.kind },
  });
}

function problemWith({ kind, id }: Requirement, packs: KnownPacks): string | null {
  const pack = packs.find(id);
  const { name, otherwise } = kinds[kind];
  if (pack && pack.kind !== kind) {
    const actual = kinds[pack.kind];
    return `"${id}" is ${actual.article} ${actual.name}, not ${kinds[kind].article} ${name}.`;
  }
  if (pack && packs.isComing(id)) return null;
  return `The ${name} "${pack?.title ?? id}" is not installed. Install it in Models, or ${otherwise}.`;
}
