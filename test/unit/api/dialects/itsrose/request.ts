/** A request as the documentation has it, with the built-in model. */
export const request = {
  model_id: 'emoji-mini',
  prompt: 'a red apple',
  width: 256,
  height: 128,
  num_inference_steps: 5,
  guidance_scale: 7,
  scheduler: 'DPMSolverMultistepScheduler',
  seed: '1234',
  enhance_prompt: 'no',
};

export interface Answer {
  status: boolean;
  message: string;
  result: { images: string[]; meta: Record<string, unknown> };
}
