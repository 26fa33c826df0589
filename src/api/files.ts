import { AppError } from '#protocol/error.ts';
import { imagesOf, type JobRecord } from '#protocol/job.ts';
import { countArtifacts } from '#protocol/tasks.ts';
import { bytesResponse } from './response.ts';
import { route, type Call } from './route.ts';

/** What a canvas can write. */
const TYPES: readonly string[] = ['image/png', 'image/jpeg', 'image/webp'];

/** An image by the URL a dialect gave it; converted if exactly one other type is accepted. */
export const filesRoute = route({
  method: 'GET',
  path: '/files/:date/:name',
  summary: 'An image by its URL',
  run: async (call) => {
    const { date = '', name = '' } = call.params;
    const blob = await call.ask((host) => host.file(`${date}/${name}`));
    if (!blob) throw new AppError('not_found', `There is no file ${date}/${name}.`);
    const wanted = acceptedType(call.request.headers.get('Accept'));
    return wanted === null || wanted === blob.type
      ? bytesResponse(blob, blob.type)
      : bytesResponse(await convertImage(blob, wanted), wanted);
  },
});

/** The one image type a client insists on; a list, as browsers send, insists on nothing. */
function acceptedType(accept: string | null): string | null {
  const type = accept === 'image/jpg' ? 'image/jpeg' : accept;
  return type !== null && TYPES.includes(type) ? type : null;
}

/** The image in another format. @throws AppError `unsupported_feature` where there is no canvas */
export async function convertImage(blob: Blob, type: string, quality = 0.95): Promise<Blob> {
  if (typeof OffscreenCanvas === 'undefined') {
    throw new AppError('unsupported_feature', `Converting an image to ${type} needs a browser.`);
  }
  const bitmap = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return canvas.convertToBlob({ type, quality });
}

/**
 * The paths under `files/` of a job's images, by their index in the job.
 * @param stem file name without index and extension
 */
export function imagePaths(
  record: JobRecord,
  stem: string,
  extension: string = 'output' in record.job ? record.job.output.format : 'png',
): string[] {
  const date = localDate(new Date(record.queuedAt));
  return Array.from(
    { length: countArtifacts(record.job) },
    (_, index) => `${date}/${stem}-${index}.${extension}`,
  );
}

/**
 * Gives the images of a job their paths.
 * @param until epoch milliseconds after which the URLs lead nowhere
 * @returns the absolute URLs of those that are made
 */
export async function publishImages(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url'>,
  record: JobRecord,
  stem: string,
  { extension, until }: { extension?: string; until?: number } = {},
): Promise<string[]> {
  const paths = imagePaths(record, stem, extension);
  await call.ask((host) => host.publishFiles(record.id, paths, until));
  return imagesOf(record.result).map(({ index }) => imageUrl(call, paths[index] ?? ''));
}

/** Keeps a file that a client has sent. @param until epoch milliseconds @returns its absolute URL */
export async function keepUpload(
  call: Pick<Call<unknown, unknown>, 'ask' | 'url'>,
  file: Blob,
  until: number,
): Promise<string> {
  const extension = file.type.replace(/^image\//, '');
  const path = `${localDate(new Date())}/${crypto.randomUUID()}.${extension}`;
  await call.ask((host) => host.keepFile(path, file, until));
  return imageUrl(call, path);
}

/** Where a path of {@link imagePaths} is served. */
export function imageUrl(call: Pick<Call<unknown, unknown>, 'url'>, path: string): string {
  return call.url(`files/${path.split('/').map(encodeURIComponent).join('/')}`);
}

/** `2026-01-31`, by the local clock. */
function localDate(date: Date): string {
  const twoDigits = (part: number) => String(part).padStart(2, '0');
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`;
}
