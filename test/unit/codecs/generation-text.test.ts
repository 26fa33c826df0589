import { describe, expect, it } from 'vitest';
import { writeExif } from '#codecs/exif.ts';
import { readGenerationText } from '#codecs/generation-text/read-generation-text.ts';
import { encodePng } from '#codecs/png.ts';

const pngOf = (texts: Record<string, string>) =>
  encodePng({ width: 6, height: 4, channels: 3, data: new Uint8Array(72) }, texts);

/** The smallest JPEG file; no decoder looks at its pixels here. */
const JPEG = Uint8Array.of(0xff, 0xd8, 0xff, 0xda, 0, 2, 9, 9, 0xff, 0xd9);

async function read(file: Uint8Array) {
  const found = await readGenerationText(file);
  return (
    found && {
      program: found.program,
      prompt: found.infotext.prompt,
      negativePrompt: found.infotext.negativePrompt,
      ...Object.fromEntries(found.infotext.parameters),
    }
  );
}

it('reads an infotext of A1111', async () => {
  const parameters =
    'a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 512x768, Version: v1.10.1';
  expect(await read(pngOf({ parameters }))).toMatchObject({
    program: 'A1111',
    prompt: 'a cat',
    negativePrompt: 'dog',
    Steps: '20',
    'Size-2': '768',
  });
  expect(await read(pngOf({ parameters: '{red|blue} cat' }))).toMatchObject({ prompt: '{red|blue} cat' });
});

/** Texts with the keys of real files of NovelAI's V3 and V4. */
const NOVELAI = {
  Title: 'AI generated image',
  Description: 'masterpiece, 1girl, 苹果',
  Software: 'NovelAI',
  Source: 'Stable Diffusion XL C1E1DE52',
  Comment: JSON.stringify({
    prompt: 'masterpiece, 1girl, 苹果',
    steps: 28,
    height: 1216,
    width: 832,
    scale: 5.5,
    uncond_scale: 1,
    seed: 3441234567,
    n_samples: 1,
    sampler: 'k_dpmpp_2s_ancestral',
    uc: 'lowres, bad anatomy',
  }),
};

it('reads NovelAI as A1111 does, with the size of the file', async () => {
  expect(await read(pngOf(NOVELAI))).toEqual({
    program: 'NovelAI',
    prompt: 'masterpiece, 1girl, 苹果',
    negativePrompt: 'lowres, bad anatomy',
    Steps: '28',
    Sampler: 'DPM++ 2S a',
    'CFG scale': '5.5',
    Seed: '3441234567',
    'Size-1': '6',
    'Size-2': '4',
    'Clip skip': '2',
    ENSD: '31337',
  });
  expect(await read(pngOf({ ...NOVELAI, Comment: 'not JSON' }))).toBeNull();
});

describe('ComfyUI', () => {
  const graph = {
    '3': {
      class_type: 'KSampler',
      inputs: {
        seed: 156680208700286,
        steps: 20,
        cfg: 8,
        sampler_name: 'dpmpp_2m',
        scheduler: 'karras',
        denoise: 1,
        model: ['10', 0],
        positive: ['11', 0],
        negative: ['11', 1],
        latent_image: ['5', 0],
      },
    },
    '4': { class_type: 'CheckpointLoaderSimple', inputs: { ckpt_name: 'sd15/dreamshaper_8.safetensors' } },
    '5': { class_type: 'EmptyLatentImage', inputs: { width: 512, height: 768, batch_size: 1 } },
    '6': { class_type: 'CLIPTextEncode', inputs: { text: ['12', 0], clip: ['10', 1] } },
    '7': { class_type: 'CLIPTextEncode', inputs: { text: 'watermark', clip: ['10', 1] } },
    '10': {
      class_type: 'LoraLoader',
      inputs: { lora_name: 'styles\\ink.safetensors', strength_model: 0.8, model: ['4', 0], clip: ['4', 1] },
    },
    '11': {
      class_type: 'ControlNetApplyAdvanced',
      inputs: { strength: 1, positive: ['6', 0], negative: ['7', 0] },
    },
    '12': { class_type: 'PrimitiveString', inputs: { value: 'a bottle' } },
    '20': {
      class_type: 'KSampler',
      inputs: { seed: 9, steps: 10, cfg: 5, denoise: 0.5, latent_image: ['3', 0], positive: ['6', 0] },
    },
  };
  const expected = {
    program: 'ComfyUI',
    prompt: 'a bottle <lora:ink:0.8>',
    negativePrompt: 'watermark',
    Steps: '20',
    Sampler: 'DPM++ 2M',
    'Schedule type': 'Karras',
    'CFG scale': '8',
    Seed: '156680208700286',
    'Size-1': '512',
    'Size-2': '768',
    Model: 'dreamshaper_8',
  };

  it('follows the links of the first pass', async () => {
    expect(await read(pngOf({ prompt: JSON.stringify(graph), workflow: '{}' }))).toEqual(expected);
  });

  it('reads the NaN that Python writes', async () => {
    const json = JSON.stringify({ ...graph, '30': { class_type: 'Note', inputs: {}, is_changed: ['NAN'] } });
    expect(await read(pngOf({ prompt: json.replace('"NAN"', 'NaN') }))).toEqual(expected);
  });

  it('reads a sampler made of parts', async () => {
    const parts = {
      '1': {
        class_type: 'SamplerCustomAdvanced',
        inputs: {
          noise: ['2', 0],
          guider: ['3', 0],
          sampler: ['4', 0],
          sigmas: ['5', 0],
          latent_image: ['6', 0],
        },
      },
      '2': { class_type: 'RandomNoise', inputs: { noise_seed: 42 } },
      '3': {
        class_type: 'CFGGuider',
        inputs: { cfg: 3.5, model: ['9', 0], positive: ['7', 0], negative: ['8', 0] },
      },
      '4': { class_type: 'KSamplerSelect', inputs: { sampler_name: 'euler_ancestral' } },
      '5': {
        class_type: 'BasicScheduler',
        inputs: { scheduler: 'normal', steps: 25, denoise: 1, model: ['9', 0] },
      },
      '6': { class_type: 'EmptyLatentImage', inputs: { width: 1024, height: 1024 } },
      '7': { class_type: 'CLIPTextEncode', inputs: { text: 'a fox' } },
      '8': { class_type: 'CLIPTextEncode', inputs: { text: 'a wolf' } },
      '9': { class_type: 'UNETLoader', inputs: { unet_name: 'x.safetensors' } },
    };
    expect(await read(pngOf({ prompt: JSON.stringify(parts) }))).toMatchObject({
      prompt: 'a fox',
      negativePrompt: 'a wolf',
      Sampler: 'Euler a',
      'Schedule type': 'Automatic',
      Seed: '42',
      'CFG scale': '3.5',
      Model: 'x',
    });
  });

  it('comes to an end in a graph that goes round', async () => {
    const round = { '1': { class_type: 'KSampler', inputs: { model: ['1', 0], steps: 4 } } };
    expect(await read(pngOf({ prompt: JSON.stringify(round) }))).toMatchObject({ Steps: '4' });
  });
});

describe('InvokeAI', () => {
  it('reads version 3 and 4', async () => {
    const facts = {
      generation_mode: 'txt2img',
      positive_prompt: 'a cat',
      negative_prompt: 'dog',
      width: 512,
      height: 640,
      seed: 4081224,
      cfg_scale: 7.5,
      steps: 30,
      scheduler: 'dpmpp_2m_k',
      model: { model_name: 'dreamshaper', base_model: 'sd-1', model_type: 'main' },
      loras: [{ lora: { model_name: 'ink', base_model: 'sd-1' }, weight: 0.75 }],
      app_version: '3.4.0',
    };
    const expected = {
      program: 'InvokeAI',
      prompt: 'a cat <lora:ink:0.75>',
      negativePrompt: 'dog',
      Steps: '30',
      Sampler: 'DPM++ 2M',
      'Schedule type': 'Karras',
      'CFG scale': '7.5',
      Seed: '4081224',
      'Size-1': '512',
      'Size-2': '640',
      Model: 'dreamshaper',
    };
    expect(await read(pngOf({ invokeai_metadata: JSON.stringify(facts) }))).toEqual(expected);
    const newer = {
      ...facts,
      model: { key: '1', name: 'dreamshaper', base: 'sd-1' },
      loras: [{ model: { key: '2', name: 'ink' }, weight: 0.75 }],
    };
    expect(await read(pngOf({ invokeai_metadata: JSON.stringify(newer) }))).toEqual(expected);
  });

  it('reads version 2 and 1', async () => {
    const expected = {
      program: 'InvokeAI',
      prompt: 'a cat on a mat',
      negativePrompt: 'dog, wet',
      Steps: '50',
      Sampler: 'LMS',
      'CFG scale': '7.5',
      Seed: '123',
      'Size-1': '512',
      'Size-2': '640',
    };
    const image = {
      prompt: [{ prompt: 'a cat [dog] on a mat [wet]', weight: 1 }],
      steps: 50,
      cfg_scale: 7.5,
      height: 640,
      width: 512,
      seed: 123,
      type: 'txt2img',
      sampler: 'k_lms',
    };
    const metadata = { model: 'stable diffusion', model_weights: 'sd-1.5', app_version: '2.3.0', image };
    expect(await read(pngOf({ 'sd-metadata': JSON.stringify(metadata) }))).toEqual({
      ...expected,
      Model: 'sd-1.5',
    });
    const Dream = '"a cat [dog] on a mat [wet]" -s 50 -S 123 -W 512 -H 640 -C 7.5 -A k_lms';
    expect(await read(pngOf({ Dream }))).toEqual(expected);
  });
});

describe('Fooocus', () => {
  const json = JSON.stringify({
    adm_guidance: '(1.5, 0.8, 0.3)',
    base_model: 'juggernautXL_v8',
    base_model_hash: 'aeb7e9e689',
    guidance_scale: 4,
    loras: [['offset_0.1', 0.1, '4852686128']],
    metadata_scheme: 'fooocus',
    negative_prompt: 'blurry',
    performance: 'Speed',
    prompt: 'a cat',
    refiner_model: 'None',
    refiner_switch: 0.5,
    resolution: '(1152, 896)',
    sampler: 'dpmpp_2m_sde_gpu',
    scheduler: 'karras',
    seed: '9007199254740993',
    sharpness: 2,
    steps: 30,
    styles: "['Fooocus V2']",
    vae: 'Default (model)',
    version: 'Fooocus v2.5.3',
  });
  const expected = {
    program: 'Fooocus',
    prompt: 'a cat <lora:offset_0.1:0.1>',
    negativePrompt: 'blurry',
    Steps: '30',
    Sampler: 'DPM++ 2M SDE',
    'Schedule type': 'Karras',
    Seed: '9007199254740993',
    'Size-1': '1152',
    'Size-2': '896',
    Model: 'juggernautXL_v8',
    'Model hash': 'aeb7e9e689',
    Styles: "['Fooocus V2']",
  };

  it('reads its own scheme in PNG and JPEG', async () => {
    const png = await read(pngOf({ parameters: json, fooocus_scheme: 'fooocus' }));
    expect(png).toMatchObject(expected);
    expect(png).not.toHaveProperty('Refiner');
    expect(png).not.toHaveProperty('VAE');
    expect(await read(writeExif(JPEG, { userComment: json, makerNote: 'fooocus' }))).toMatchObject(expected);
  });

  it('knows its infotexts from those of A1111', async () => {
    const parameters = 'a cat\nSteps: 30, Sampler: DPM++ 2M SDE, Seed: 1, Version: Fooocus v2.5.3';
    expect(await read(pngOf({ parameters, fooocus_scheme: 'a1111' }))).toMatchObject({ program: 'Fooocus' });
    expect(await read(writeExif(JPEG, { userComment: parameters }))).toMatchObject({
      program: 'Fooocus',
      Seed: '1',
    });
  });
});

it('reads SwarmUI', async () => {
  const facts = { prompt: 'a cat', negativeprompt: 'dog', model: 'sdxl', seed: 7, steps: 25, cfgscale: 6.5 };
  const size = { width: 512, height: 768, sampler: 'euler', scheduler: 'simple' };
  const lora = { loras: ['folder/ink'], loraweights: ['0.5'] };
  const parameters = JSON.stringify({ sui_image_params: { ...facts, ...size, ...lora } });
  expect(await read(pngOf({ parameters }))).toEqual({
    program: 'SwarmUI',
    prompt: 'a cat <lora:ink:0.5>',
    negativePrompt: 'dog',
    Steps: '25',
    Sampler: 'Euler',
    'Schedule type': 'Simple',
    'CFG scale': '6.5',
    Seed: '7',
    'Size-1': '512',
    'Size-2': '768',
    Model: 'sdxl',
  });
});

it('reads Draw Things', async () => {
  const json = JSON.stringify({
    c: 'a "cat" & a <mat>',
    uc: 'dog',
    steps: 25,
    scale: 7.5,
    seed: 2814749767,
    sampler: 'DPM++ 2M Karras',
    model: 'sd_v1.5_f16.ckpt',
    size: '512x768',
    strength: 1,
    lora: [{ model: 'ink_lora_f16.ckpt', weight: 0.6 }],
  });
  const escaped = json
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
  const xmp =
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description><xmp:CreatorTool>Draw Things</xmp:CreatorTool>' +
    `<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">${escaped}</rdf:li></rdf:Alt></exif:UserComment>` +
    '</rdf:Description></rdf:RDF></x:xmpmeta>';
  expect(await read(pngOf({ 'XML:com.adobe.xmp': xmp }))).toEqual({
    program: 'Draw Things',
    prompt: 'a "cat" & a <mat> <lora:ink_lora_f16:0.6>',
    negativePrompt: 'dog',
    Steps: '25',
    Sampler: 'DPM++ 2M',
    'Schedule type': 'Karras',
    'CFG scale': '7.5',
    Seed: '2814749767',
    'Size-1': '512',
    'Size-2': '768',
    Model: 'sd_v1.5_f16.ckpt',
  });
});

describe('Civitai', () => {
  it('reads an infotext with its lists behind', async () => {
    const userComment =
      'a cat\nNegative prompt: dog\nSteps: 25, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 832x1216, Clip skip: 2, ' +
      'Created Date: 2024-08-01T10:11:12.123Z, Civitai resources: [{"type":"checkpoint","modelVersionId":290640,' +
      '"modelName":"Pony, V6","modelVersionName":"V6"}], Civitai metadata: {"remixOfId":1}';
    const found = await read(writeExif(JPEG, { userComment }));
    expect(found).toMatchObject({
      program: 'Civitai',
      prompt: 'a cat',
      negativePrompt: 'dog',
      Seed: '5',
      'Size-1': '832',
    });
    expect(Object.keys(found ?? {})).not.toContain('type');
    expect(Object.keys(found ?? {})).toContain('Clip skip');
  });

  it('reads what its generator keeps beside a graph', async () => {
    const extra = {
      prompt: 'a cat',
      negativePrompt: 'dog',
      steps: 25,
      cfgScale: 4,
      sampler: 'euler_ancestral',
      seed: 8,
    };
    const userComment = JSON.stringify({
      '6': { class_type: 'CLIPTextEncode', inputs: { text: 'a cat' } },
      extraMetadata: JSON.stringify(extra),
    });
    expect(await read(writeExif(JPEG, { userComment }))).toEqual({
      program: 'Civitai',
      prompt: 'a cat',
      negativePrompt: 'dog',
      Steps: '25',
      Sampler: 'Euler a',
      'CFG scale': '4',
      Seed: '8',
    });
  });
});

it('finds nothing in files without texts, or with texts of other kinds', async () => {
  for (const texts of [
    {},
    { Comment: 'Created with GIMP' },
    { parameters: '{"a": 1}' },
    { prompt: 'not a graph' },
  ])
    expect(await read(pngOf(texts))).toBeNull();
  expect(await read(JPEG)).toBeNull();
});
