import { parseLora, type Lora } from '#weights/lora.ts';
import { readFloat32 } from '#weights/casts.ts';
import { openFooocusPatch, recogniseFooocusInpaint } from '#weights/fooocus-patch.ts';
import { openSafetensors, type SafetensorsFile } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { readTextualInversion, type TextualInversion } from '#weights/textual-inversion.ts';
import { openTorchArchive } from '#weights/torch-archive.ts';
import type { InpaintHead } from '#imaging/fooocus/inpaint-head.ts';
import { AppError } from '#protocol/error.ts';
import { findByName, sameName } from '#protocol/names.ts';
import { packHash, sumBytes, type AddOnKind, type AddOnPack, type AnyPack } from '#protocol/model.ts';
import { openPackFiles, type PackFiles, type ReadFile } from './pack-files.ts';

/** A LoRA and how much of it goes into which networks. */
export interface ChosenLora {
  pack: AddOnPack;
  lora: Lora;
  /** Of its changes to the UNet. */
  strength: number;
  textEncoderStrength: number;
}

/** What is installed besides the model. */
export interface AddOns {
  /** By id, title or alias, see {@link findByName}. */
  find(kind: AddOnKind, name: string): AddOnPack | undefined;
  ofKind(kind: AddOnKind): readonly AddOnPack[];
  files(pack: AddOnPack): PackFiles;
  /** @throws AppError `unsupported_feature`, `invalid_request` for another kind of file; `model_not_found`, `integrity_failed` */
  readLora(pack: AddOnPack): Promise<Lora>;
  /** @throws AppError `invalid_request` for another kind of file; `model_not_found`, `integrity_failed` */
  readEmbedding(pack: AddOnPack): Promise<TextualInversion>;
  /** @throws AppError `unsupported_feature`, `invalid_request` for another kind of file; `model_not_found`, `integrity_failed` */
  readInpaintHead(pack: AddOnPack): Promise<InpaintHead>;
  /** The changes of an inpaint patch, which are a LoRA's. @throws AppError as {@link readInpaintHead} */
  readInpaintPatch(pack: AddOnPack): Promise<Lora>;
  /** The embeddings bundled with a LoRA, by their words. @throws AppError as {@link readLora} */
  readBundled(lora: Lora): Promise<ReadonlyMap<string, TextualInversion>>;
}

/** The names an add-on answers to. */
export function namesOf({ id, title }: AddOnPack): readonly string[] {
  return sameName(id, title) ? [id] : [id, title];
}

/** Distinguishes a pack from an earlier one of the same name. */
export function packKey(pack: AnyPack): string {
  return `${pack.id}@${packHash(pack)}:${String(sumBytes(pack.files))}`;
}

/** Opens installed add-ons; files are read on demand, headers of LoRAs once. */
export function openAddOns(packs: readonly AddOnPack[], filesOf: (pack: AddOnPack) => ReadFile): AddOns {
  const loras = new Map<string, Promise<Lora>>();
  const files = (pack: AddOnPack) => openPackFiles(pack, filesOf(pack));

  async function openWeights(pack: AddOnPack): Promise<SafetensorsFile> {
    const file = pack.files.find(({ path }) => path.endsWith('.safetensors'));
    if (!file) throw new AppError('model_not_found', `${pack.title} has no .safetensors file.`);
    return openSafetensors(await files(pack).read(file.path), pack.title);
  }

  async function openTorch(pack: AddOnPack): Promise<TensorSource> {
    const [file] = pack.files;
    if (!file) throw new AppError('model_not_found', `${pack.title} has no file.`);
    return openTorchArchive(await files(pack).read(file.path), pack.title);
  }

  return {
    files,
    ofKind: (kind) => packs.filter((pack) => pack.kind === kind),
    find: (kind, name) =>
      findByName(
        packs.filter((pack) => pack.kind === kind),
        name,
        (pack) => pack,
      ),
    readLora(pack) {
      const reading = loras.get(pack.id) ?? openWeights(pack).then((file) => parseLora(file, pack.title));
      loras.set(pack.id, reading);
      return reading;
    },
    async readInpaintHead(pack) {
      const file = await openTorch(pack);
      const { shape: [outputs = 0, inputs = 0] = [] } = file.info('head') ?? {};
      if (recogniseFooocusInpaint(file) !== 'head') {
        throw new AppError('invalid_request', `${pack.title} is not the head of an inpaint patch.`);
      }
      return { outputs, inputs, weights: await readFloat32(file, 'head') };
    },
    async readInpaintPatch(pack) {
      const reading =
        loras.get(pack.id) ?? openTorch(pack).then((file) => openFooocusPatch(file, pack.title));
      loras.set(pack.id, reading);
      return reading;
    },
    readEmbedding: async (pack) => readTextualInversion(await openWeights(pack), pack.title),
    async readBundled({ name, embeddings }) {
      const words = new Map<string, TextualInversion>();
      for (const [word, file] of embeddings) {
        words.set(word, await readTextualInversion(file, `The embedding “${word}” in ${name}`));
      }
      return words;
    },
  };
}
