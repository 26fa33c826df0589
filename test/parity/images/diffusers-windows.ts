import { openNodeRuntime } from '../../support/node-engine.ts';
import { textToImage } from '../../support/jobs.ts';
import { hasTinyPipeline, openTinyPipeline } from '../../support/tiny-pipeline.ts';
import { compareGenerated, compareLatents, generateOne, imageFloats, type Made } from '../generated.ts';
import type { ParityCase } from '../case.ts';
import type { Pass } from '#protocol/job.ts';
import type { ImageCase, ImageKind } from './image-kind.ts';

/** A call of one of diffusers' pipelines of text-to-image with another way of guidance. */
interface GuidedCase extends ImageCase {
  arguments: {
    scheduler: string;
    prompt: string;
    negative_prompt: string;
    num_inference_steps: number;
    guidance_scale: number;
    seed: number;
    width: number;
    height: number;
    sag_scale?: number;
    circular_padding?: boolean;
  };
}

/** Latent columns that a circular panorama's latents are continued by at each end before they are decoded. */
const WRAPPED = 8;

/** Self-attention guidance and panoramas on the tiny networks. */
const compare = (passOf: (call: GuidedCase['arguments']) => Partial<Pass>): ImageKind =>
  async function* (references): AsyncGenerator<ParityCase> {
    if (!hasTinyPipeline(references.root)) return;
    const runtime = await openNodeRuntime();
    const model = await openTinyPipeline(runtime, references.root);
    for (const { id, arguments: call, tensors, images } of references.cases as readonly GuidedCase[]) {
      const pass = passOf(call);
      const job = textToImage({
        prompt: call.prompt,
        negativePrompt: call.negative_prompt,
        seeds: [BigInt(call.seed)],
        steps: call.num_inference_steps,
        guidanceScale: call.guidance_scale,
        width: call.width,
        height: call.height,
        sampler: { family: 'diffusers', scheduler: call.scheduler, config: {} },
        ...pass,
      });
      const result = images?.['result'];
      const generate = async (): Promise<Made> => {
        const made = await generateOne(runtime, model, job);
        const columns = call.width / model.pack.latent.downscale;
        return pass.panorama?.circular ? { ...made, latents: cutEnds(made.latents, columns) } : made;
      };
      const latents = () => references.tensor(tensors?.['latents'] ?? '');
      const name = `images/${references.kind}/${id}`;
      if (result === undefined) yield* compareLatents(name, generate, latents);
      else {
        yield* compareGenerated(name, generate, async () => ({
          latents: await latents(),
          image: imageFloats(references.file(result)),
        }));
      }
    }
    await model.release();
    await runtime.close();
  };

/** Rows of latents without what they were continued by. */
function cutEnds(latents: Float32Array, columns: number): Float32Array {
  const stride = columns + 2 * WRAPPED;
  return latents.filter((_, i) => i % stride >= WRAPPED && i % stride < WRAPPED + columns);
}

export const compareSelfAttention = compare(({ sag_scale: scale = 0 }) => ({
  selfAttentionGuidance: { scale },
}));

export const comparePanoramas = compare(({ circular_padding: circular = false }) => ({
  panorama: { circular },
}));
