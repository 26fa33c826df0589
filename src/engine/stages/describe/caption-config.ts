import type { Tokenizer } from '@huggingface/tokenizers';
import type { PackFiles } from '#engine/models/pack-files.ts';
import { readHubTokenizer } from '#engine/tokenizers/hub.ts';
import type { Normalisation } from '#engine/vision/image-network.ts';
import { isRecord } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import type { AddOnPack, ConfigFile } from '#protocol/model.ts';

/** How a caption model sees images and writes. */
export interface CaptionConfig {
  size: Size;
  filter: 'bilinear' | 'bicubic' | 'lanczos';
  normalisation: Normalisation;
  startId: number;
  endId: number;
  tokenizer: Tokenizer;
}

/** Pillow's numbers of its filters. */
const FILTERS: Readonly<Record<number, CaptionConfig['filter']>> = {
  1: 'lanczos',
  2: 'bilinear',
  3: 'bicubic',
};

/** Of transformers' ViTImageProcessor. */
const DEFAULT_SIDE = 224;
const HALF = [0.5, 0.5, 0.5];

/**
 * Reads the configurations of a repository of transformers: `config.json`, `generation_config.json`,
 * `preprocessor_config.json` and `tokenizer.json`.
 * @throws AppError `integrity_failed` where they do not say how captions begin and end, `model_not_found` where one is missing
 */
export async function readCaptionConfig(pack: AddOnPack, files: PackFiles): Promise<CaptionConfig> {
  const config = await files.readJson('config.json');
  const generation = (await files.findJson('generation_config.json')) ?? {};
  const processor = (await files.findJson('preprocessor_config.json')) ?? {};
  const decoder = isRecord(config['decoder']) ? config['decoder'] : {};
  const idOf = (...names: readonly string[]): number => {
    for (const name of names) {
      for (const source of [generation, config, decoder]) {
        const value = source[name];
        if (typeof value === 'number') return value;
      }
    }
    throw new AppError('integrity_failed', `${pack.title} does not say how its captions begin and end.`, {
      detail: { model: pack.id },
    });
  };
  return {
    size: sizeOf(processor['size']),
    filter: FILTERS[Number(processor['resample'])] ?? 'bilinear',
    normalisation: { mean: numbersOf(processor['image_mean']), std: numbersOf(processor['image_std']) },
    startId: idOf('decoder_start_token_id', 'bos_token_id'),
    endId: idOf('eos_token_id'),
    tokenizer: await readHubTokenizer(pack, files),
  };
}

function sizeOf(size: unknown): Size {
  if (typeof size === 'number') return { width: size, height: size };
  const { width, height }: ConfigFile = isRecord(size) ? size : {};
  return typeof width === 'number' && typeof height === 'number'
    ? { width, height }
    : { width: DEFAULT_SIDE, height: DEFAULT_SIDE };
}

function numbersOf(value: unknown): readonly number[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'number') ? value : HALF;
}
