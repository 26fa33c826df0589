/** A request that can be sent unchanged. */
export interface ApiExample {
  dialect: string;
  path: string;
  body: Readonly<Record<string, unknown>>;
}

/** One image, requested in each dialect. */
export const apiExamples: readonly ApiExample[] = [
  {
    dialect: 'A1111',
    path: '/sdapi/v1/txt2img',
    body: {
      prompt: 'a red apple, 3d render',
      negative_prompt: '',
      width: 256,
      height: 256,
      steps: 20,
      cfg_scale: 4,
      sampler_name: 'DPM++ 2M',
      scheduler: 'Karras',
      seed: 1,
    },
  },
  {
    dialect: 'Fooocus',
    path: '/v1/generation/text-to-image',
    body: {
      prompt: 'a dog face on a blue background',
      style_selections: [],
      performance_selection: 'Speed',
      aspect_ratios_selection: '704*704',
      image_number: 1,
      image_seed: 2,
      guidance_scale: 4,
      async_process: false,
      require_base64: false,
    },
  },
  {
    dialect: 'ModelsLab',
    path: '/api/v1/enterprise/text2img',
    body: {
      key: 'not-needed-here',
      model_id: 'emoji-mini',
      prompt: 'a tiger face, cartoon style',
      width: '256',
      height: '256',
      samples: '1',
      num_inference_steps: '21',
      guidance_scale: 4,
      scheduler: 'DPMSolverMultistepScheduler',
      seed: 3,
    },
  },
  {
    dialect: 'itsrose',
    path: '/sdapi/txt2img',
    body: {
      model_id: 'emoji-mini',
      prompt: 'a panda, 3d render',
      width: 256,
      height: 256,
      samples: 1,
      num_inference_steps: 21,
      guidance_scale: 4,
      scheduler: 'EulerDiscreteScheduler',
      seed: '4',
    },
  },
  {
    dialect: 'SDCN',
    path: '/txt2img',
    body: {
      model: 'emoji-mini',
      prompt: 'a green frog, flat design',
      negative_prompt: '',
      width: 256,
      height: 256,
      steps: 20,
      cfg_scale: 4,
      sampler_name: 'Euler a',
      seed: 5,
    },
  },
];

/** A path of the API under the address the app is served from. */
export function apiPath(path: string): string {
  return new URL(path.replace(/^\//, ''), document.baseURI).pathname;
}
