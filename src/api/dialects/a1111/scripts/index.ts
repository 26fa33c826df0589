import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import type { Img2imgBody } from '#api/dialects/a1111/img2img-body.ts';
import { loopback } from './loopback.ts';
import { outpaintMk2 } from './outpaint-mk2.ts';
import { outpaintPoor } from './outpaint-poor.ts';
import { promptMatrix } from './prompt-matrix.ts';
import { promptsFromFile } from './prompts-from-file.ts';
import type { Script } from './script.ts';
import { sdUpscale } from './sd-upscale.ts';
import { xyzPlot } from './xyz-plot.ts';

/** What `script_name` runs in txt2img. */
export const TXT2IMG_SCRIPTS: readonly Script<GenerationBody>[] = [
  promptMatrix,
  promptsFromFile,
  xyzPlot(false),
];

/** What `script_name` runs in img2img. */
export const IMG2IMG_SCRIPTS: readonly Script<Img2imgBody>[] = [
  { title: 'img2img alternative test', needs: 'img2img-alternative' },
  loopback,
  outpaintMk2,
  outpaintPoor,
  promptMatrix,
  promptsFromFile,
  sdUpscale,
  xyzPlot(true),
];
