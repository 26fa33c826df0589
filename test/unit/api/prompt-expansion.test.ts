import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPngText } from '#codecs/png-text.ts';
import { imagesOf } from '#protocol/job.ts';
import { bytesOf, type ImageResult, type Json } from '../../support/fooocus.ts';
import { jsonOf, post } from '../../support/http.ts';
import { textGeneratorPack, WORD_LIST } from '../../support/tiny-text-generator.ts';
import { openVisionApi, type VisionApi } from '../../support/vision-api.ts';

/* Words that an installed text generator adds to prompts, by the APIs that ask for them, on the real engine. */

let vision: VisionApi;
beforeAll(async () => {
  vision = await openVisionApi([textGeneratorPack(WORD_LIST)]);
}, 60_000);
afterAll(() => vision.close());

/** All the words of its list are there, once each. */
const EXPANDED = /^a cat(?=.* golden)(?=.* shiny)(?=.* vivid)[a-z, ]+$/;

/** The newest job's prompt, as its image was made of it. */
async function newestPrompt(): Promise<readonly string[]> {
  const records = await vision.host.jobs();
  const newest = records.reduce((a, b) => (b.queuedAt >= a.queuedAt ? b : a));
  return imagesOf(newest.result)[0]?.prompt ?? [];
}

describe('Fooocus V2', () => {
  async function generate(changes: Json): Promise<{ ignored: string | null; parameters: string }> {
    const response = await post(vision.api, '/v2/generation/text-to-image-with-ip', {
      prompt: 'a cat',
      style_selections: ['Fooocus V2', 'No Such Style'],
      image_seed: 3,
      advanced_params: { overwrite_step: 1, overwrite_width: 64, overwrite_height: 64 },
      ...changes,
    });
    expect(response.status).toBe(200);
    const [result] = await jsonOf<ImageResult[]>(response);
    const texts = await readPngText(await bytesOf(vision.api.request(result?.url ?? '')));
    return {
      ignored: response.headers.get('X-Ignored-Parameters'),
      parameters: texts['parameters'] ?? '',
    };
  }

  it('adds a text of its own, and the file says so', async () => {
    const { ignored, parameters } = await generate({});
    expect(ignored).toBe('style_selections:No Such Style'.replaceAll(' ', '%20').replace(':', '%3A'));
    const [own, expanded, ...more] = await newestPrompt();
    expect([own, more]).toEqual(['a cat', []]);
    expect(expanded).toMatch(EXPANDED);
    expect(JSON.parse(parameters)).toMatchObject({
      prompt: 'a cat',
      full_prompt: ['a cat', expanded],
      prompt_expansion: expanded,
      styles: "['Fooocus V2']",
    });
    const { parameters: infotext } = await generate({ meta_scheme: 'a1111' });
    expect(infotext.split('\n')[0]).toBe(`a cat, ${expanded ?? ''}`);
  });

  it('is left out where it is not asked for, and where there is no prompt', async () => {
    const { parameters } = await generate({ style_selections: [] });
    expect(JSON.parse(parameters)).toMatchObject({ prompt_expansion: '', styles: '[]' });
    expect(await newestPrompt()).toEqual(['a cat']);
    await generate({ prompt: '' });
    expect(await newestPrompt()).toEqual(['']);
  });

  it('goes for what is inpainted in an image that is enhanced, too', async () => {
    const image = Buffer.from(
      await bytesOf(
        vision.api.request(
          (
            await jsonOf<ImageResult[]>(
              await post(vision.api, '/v2/generation/text-to-image-with-ip', {
                prompt: 'a cat',
                style_selections: [],
                advanced_params: { overwrite_step: 1, overwrite_width: 64, overwrite_height: 64 },
              }),
            )
          )[0]?.url ?? '',
        ),
      ),
    ).toString('base64');
    const { job } = await submitted({ enhance_input_image: image });
    expect(job).toMatchObject({
      post: [
        {
          kind: 'detail',
          prompts: [
            { prompt: ['a dog'], expansion: { model: 'tiny-expander', text: 'a dog', seed: 3, as: 'more' } },
          ],
        },
      ],
    });
  });

  async function submitted(changes: Json) {
    const response = await post(vision.api, '/v2/generation/image-enhance', {
      prompt: 'a cat',
      style_selections: ['Fooocus V2'],
      image_seed: 3,
      async_process: true,
      enhance_uov_method: 'Disabled',
      enhance_ctrlnets: [
        { enhance_enabled: true, enhance_prompt: 'a dog', enhance_mask_dino_prompt: 'face' },
      ],
      ...changes,
    });
    const { job_id: id } = await jsonOf<{ job_id: string }>(response);
    const record = await vision.host.job(id);
    await vision.host.cancel(id);
    await vision.host.wait(id);
    if (!record) throw new Error('There is no job.');
    return record;
  }
});

it.each([
  // As small and short as they allow.
  ['ModelsLab', '/api/v1/enterprise/text2img', 256, 1],
  ['itsrose', '/sdapi/txt2img', 64, 5],
])('%s enhances prompts by it', async (_, path, side, steps) => {
  const ask = async (enhance_prompt: string) => {
    const response = await post(vision.api, path, {
      key: 'k',
      model_id: 'tiny',
      prompt: 'a cat',
      width: side,
      height: side,
      num_inference_steps: steps,
      scheduler: 'EulerDiscreteScheduler',
      safety_checker: 'no',
      seed: 3,
      enhance_prompt,
    });
    // It may have begun before there was an image.
    expect(await jsonOf(response)).toMatchObject({ status: path.includes('enterprise') ? 'success' : true });
  };
  await ask('yes');
  const [prompt, ...more] = await newestPrompt();
  expect(prompt).toMatch(EXPANDED);
  expect(more).toEqual([]);
  await ask('no');
  expect(await newestPrompt()).toEqual(['a cat']);
});
