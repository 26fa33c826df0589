import { buildAutoencoderKlDecoder, buildAutoencoderKlEncoder } from './autoencoder-kl.ts';
import { buildAutoencoderTinyDecoder, buildAutoencoderTinyEncoder } from './autoencoder-tiny.ts';
import { buildClipText } from './clip-text.ts';
import { buildClipVision } from './clip-vision.ts';
import { buildControlNet } from './controlnet.ts';
import { buildEmojiDecoder, buildEmojiEncoder, buildEmojiTextEncoder } from './emoji-mini.ts';
import { buildIpAdapterProjection } from './ip-adapter.ts';
import { buildRrdbNet } from './rrdb-net.ts';
import { buildUnet2dCondition } from './unet-2d-condition.ts';

/** Every network this engine can write as an ONNX graph: `build(config, options)`. */
export const architectures = {
  'autoencoder-kl-decoder': { build: buildAutoencoderKlDecoder },
  'autoencoder-kl-encoder': { build: buildAutoencoderKlEncoder },
  'autoencoder-tiny-decoder': { build: buildAutoencoderTinyDecoder },
  'autoencoder-tiny-encoder': { build: buildAutoencoderTinyEncoder },
  'clip-text': { build: buildClipText },
  'clip-vision': { build: buildClipVision },
  controlnet: { build: buildControlNet },
  'emoji-mini-text-encoder': { build: buildEmojiTextEncoder },
  'emoji-mini-vae-decoder': { build: buildEmojiDecoder },
  'emoji-mini-vae-encoder': { build: buildEmojiEncoder },
  'ip-adapter-projection': { build: buildIpAdapterProjection },
  'rrdb-net': { build: buildRrdbNet },
  'unet-2d-condition': { build: buildUnet2dCondition },
} as const;

export type ArchitectureName = keyof typeof architectures;
