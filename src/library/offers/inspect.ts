import { fileAddress } from '#library/sources/addresses.ts';
import type { Listing, SourceFile } from '#library/sources/source-file.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { inspectFolder } from './folder.ts';
import { AppError } from '#protocol/error.ts';
import { refusedFinding, type Finding } from './finding.ts';
import { inspectOnnxNetwork } from './onnx-network.ts';
import { inspectSafetensors } from './single-file.ts';
import { inspectTorchFile } from './torch-file.ts';

/** Single files that cannot be used here, by their extensions. */
const REFUSED: readonly (readonly [name: RegExp, problem: string])[] = [
  [
    /\.(?:ckpt|pt|pth|bin|pkl)$/i,
    'It is a PyTorch pickle, and opening a pickle can run any program hidden in it. Look for the .safetensors version, or convert it.',
  ],
  [
    /\.patch$/i,
    'It is not a patch that is known here. Of these, the inpaint patches of Fooocus can be used.',
  ],
  [/\.gguf$/i, 'It is a GGUF file, which is not supported. Look for the .safetensors version.'],
  [/\.(?:zip|7z|rar|tar|gz)$/i, 'It is an archive. Unpack it and drop what is inside.'],
];

/** Names of files by PyTorch that may have a use here. */
const TORCH = /\.(?:pth|patch)$/i;

/** The same, where files with more than tensors in them are as little of use as unknown ones. */
async function recogniseTorchFile(file: SourceFile): Promise<Finding | undefined> {
  try {
    return await inspectTorchFile(file);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'unsupported_feature') return undefined;
    throw thrown;
  }
}

const ONNX_ALONE =
  'It is not a network that is known here. If it is a part of a model, drop the folder it is in, with unet, text_encoder, vae_decoder and tokenizer.';

/**
 * Recognises what a listing holds.
 * @param device what it would run on, where that is known
 * @throws AppError `integrity_failed` for damaged files, `download_failed`, `cancelled`
 */
export async function inspectListing(listing: Listing, device: BackendInfo | null): Promise<Finding> {
  const [only, ...more] = listing.files;
  if (!only || more.length > 0) return inspectFolder(listing, device);
  const torch = TORCH.test(only.path) ? await recogniseTorchFile(only) : undefined;
  if (torch) return torch;
  const refused = REFUSED.find(([name]) => name.test(only.path));
  if (refused) return refusedFinding(refused[1], {}, [{ path: only.path, file: only }]);
  if (/\.onnx(?:_data)?$/i.test(only.path)) {
    return (
      (await inspectOnnxNetwork(listing)) ??
      refusedFinding(ONNX_ALONE, { format: 'onnx' }, [{ path: only.path, file: only }])
    );
  }
  return inspectSafetensors(only, listing.title, device);
}

/** Samples of a file that tell it from others with the same header. */
const SAMPLES = 8;
const SAMPLE_BYTES = 4096;

/**
 * A name for exactly these files. On the disk it is a hash over some of their bytes, for to read them all takes as
 * long as importing them; from a server over their addresses, without keys, their sizes and hashes.
 */
export async function fingerprint(files: readonly { path: string; file: SourceFile }[]): Promise<string> {
  const parts: BlobPart[] = [];
  for (const { path, file } of files) {
    const address = file.url === null ? null : fileAddress(file.url);
    parts.push(JSON.stringify([path, file.size, address, file.sha256]));
    if (file.url !== null) continue;
    for (let i = 0; i < SAMPLES; i++) {
      const start = Math.floor((i / SAMPLES) * file.size);
      parts.push(await file.slice(start, start + SAMPLE_BYTES).arrayBuffer());
    }
  }
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(parts).arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
