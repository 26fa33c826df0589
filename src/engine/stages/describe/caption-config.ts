import type { Tokenizer } from '@huggingface/tokenizers';
import type { PackFiles } from '#engine/models/pack-files.ts';
import { readHubTokenizer } from '#engine/tokenizers/hub.ts';
import { readImageProcessor, type ImageProcessor } from '#engine/vision/image-processor.ts';
import { isRecord } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';

/** How a caption model sees images and writes. */
export interface CaptionConfig {
  image: ImageProcessor;
  startId: number;
  /** What comes after that whatever the network says, where there is something. */
  secondId: number | null;
  endId: number;
  /** How many tokens may not come twice in the same order; 0 for any. */
  noRepeat: number;
  tokenizer: Tokenizer;
}

/** Of transformers' ViTImageProcessor. */
export const VIT: ImageProcessor = {
  mean: [0.5, 0.5, 0.5],
  std: [0.5, 0.5, 0.5],
  size: { width: 224, height: 224 },
  filter: 'bilinear',
};

/**
 * Reads the configurations of a repository of transformers: `config.json`, `generation_config.json`,
 * `preprocessor_config.json` and `tokenizer.json`.
 * @param image what counts where the configurations say nothing of images
 * @throws AppError `integrity_failed` where they do not say how captions begin and end, `model_not_found` where one is missing
 */
export async function readCaptionConfig(
  pack: AddOnPack,
  files: PackFiles,
  image: ImageProcessor,
): Promise<CaptionConfig> {
  const config = await files.readJson('config.json');
  const generation = (await files.findJson('generation_config.json')) ?? {};
  const parts = [config['decoder'], config['text_config']].filter(isRecord);
  const find = (...names: readonly string[]): number | undefined =>
    names
      .flatMap((name) => [generation, config, ...parts].map((source) => source[name]))
      .find((value) => typeof value === 'number');
  const idOf = (...names: readonly string[]): number => {
    const id = find(...names);
    if (id !== undefined) return id;
    throw new AppError('integrity_failed', `${pack.title} does not say how its captions begin and end.`, {
      detail: { model: pack.id },
    });
  };
  return {
    image: readImageProcessor(await files.findJson('preprocessor_config.json'), image),
    startId: idOf('decoder_start_token_id', 'bos_token_id'),
    secondId: find('forced_bos_token_id') ?? null,
    endId: idOf('eos_token_id'),
    noRepeat: find('no_repeat_ngram_size') ?? 0,
    tokenizer: await readHubTokenizer(pack, files),
  };
}
