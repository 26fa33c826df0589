import { isRecord } from '#codecs/json.ts';
import { AppError } from '#protocol/error.ts';
import type { AnyPack, ConfigFile, PackFile } from '#protocol/model.ts';

/** Reads a file of a pack by its path in the diffusers layout; undefined when it is not there. */
export type ReadFile = (path: string) => Promise<Blob | undefined>;

/** The files of a pack. */
export interface PackFiles {
  /** What the pack lists directly within a folder; `''` is the pack itself. */
  list(folder: string): readonly PackFile[];
  /** @throws AppError `model_not_found` when the file is missing */
  read(path: string): Promise<Blob>;
  /**
   * A configuration file, stored or worked out by the import; undefined where there is neither.
   * @throws AppError `integrity_failed` when it is not a JSON object
   */
  findJson(path: string): Promise<ConfigFile | undefined>;
  /** As {@link findJson}. @throws AppError also `model_not_found` */
  readJson(path: string): Promise<ConfigFile>;
}

/** Opens the files of a pack; nothing is read yet. */
export function openPackFiles(pack: AnyPack, readFile: ReadFile): PackFiles {
  const configs = pack.kind === 'model' ? pack.configs : undefined;

  const missing = (path: string) =>
    new AppError('model_not_found', `${pack.title} is incomplete: ${path} is missing. Install it again.`, {
      detail: { model: pack.id, file: path },
    });

  async function findJson(path: string): Promise<ConfigFile | undefined> {
    const blob = await readFile(path);
    if (!blob) return configs?.[path];
    const value = parseObject(await blob.text());
    if (value) return value;
    throw new AppError('integrity_failed', `${path} of ${pack.title} is not a JSON object.`, {
      detail: { file: path },
    });
  }

  return {
    list: (folder) =>
      pack.files.filter(({ path }) => path.slice(0, Math.max(0, path.lastIndexOf('/'))) === folder),
    async read(path) {
      const blob = await readFile(path);
      if (blob) return blob;
      throw missing(path);
    },
    findJson,
    async readJson(path) {
      const json = await findJson(path);
      if (json) return json;
      throw missing(path);
    },
  };
}

function parseObject(text: string): ConfigFile | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
