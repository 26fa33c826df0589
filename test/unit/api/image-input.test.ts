import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MOST_BYTES } from '#api/fetch-file.ts';
import { checkImage, readImageInput } from '#api/image-input.ts';
import { toBase64 } from '#codecs/base64.ts';
import { writeChunk } from '#codecs/png-chunks.ts';
import { encodePng } from '#codecs/png.ts';
import { AppError } from '#protocol/error.ts';
import { createFakeHost } from '../../support/fake-host.ts';

const png = encodePng({ width: 8, height: 4, channels: 3, data: new Uint8Array(8 * 4 * 3).fill(90) });
const damaged = png.slice(0, png.length - 30);

/** A PNG file that claims to be as large as it is told, and has next to no pixels. */
function pngOfSize(width: number, height: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, width);
  new DataView(header.buffer).setUint32(4, height);
  header.set([8, 2], 8);
  return Uint8Array.from([...png.slice(0, 8), ...writeChunk('IHDR', header), ...png.slice(33)]);
}

const { host } = createFakeHost();
const call = {
  ask: async <T>(question: (asked: typeof host) => Promise<T>) => question(host),
  url: (path: string) => `http://localhost/${path}`,
  signal: new AbortController().signal,
};

async function refusalOf(reading: Promise<unknown>): Promise<string> {
  const thrown: unknown = await reading.catch((error: unknown) => error);
  if (thrown instanceof AppError && thrown.code === 'invalid_request') return thrown.message;
  throw new Error('The image was read.', { cause: thrown });
}

const bytesOf = async (file: Blob) => new Uint8Array(await file.arrayBuffer());

describe('an image that is sent', () => {
  it.each([
    ['base64', toBase64(png)],
    ['a data URI', `data:image/png;base64,${toBase64(png)}`],
    ['a data URI with a wrong type', `data:image/jpeg;base64,${toBase64(png)}`],
    ['base64 in lines', ` ${toBase64(png).replace(/.{76}/g, '$&\r\n')}\n`],
  ])('may be %s', async (_, text) => {
    const file = await readImageInput(call, text);
    expect([file.type, await bytesOf(file)]).toEqual(['image/png', png]);
  });

  it('may be of one pixel', async () => {
    const pixel = encodePng({ width: 1, height: 1, channels: 4, data: new Uint8Array([1, 2, 3, 255]) });
    expect(await bytesOf(await readImageInput(call, toBase64(pixel)))).toEqual(pixel);
  });

  it.each([
    ['no base64', 'no image!', 'The image is neither a URL nor base64.'],
    ['nothing', '', 'The image is empty.'],
    ['a text', btoa('<html>Log in</html>'), 'The image is not a PNG, JPEG, WebP or GIF file.'],
    ['cut off', toBase64(damaged), 'The image is truncated or damaged.'],
    ['its header alone', toBase64(png.slice(0, 20)), 'The image is truncated or damaged.'],
    [
      'huge',
      toBase64(pngOfSize(12_000, 12_000)),
      'The image has 12000 × 12000 pixels. Send one of at most 64 megapixels.',
    ],
    ['without pixels', toBase64(pngOfSize(0, 8)), 'The image is truncated or damaged.'],
  ])('is refused when it is %s', async (_, text, message) => {
    expect(await refusalOf(readImageInput(call, text))).toBe(message);
  });

  it('is called by its parameter', async () => {
    expect(await refusalOf(checkImage(new Blob([]), 'mask_image'))).toBe("'mask_image' is empty.");
    const file = new Blob([new Uint8Array(MOST_BYTES + 1)]);
    expect(await refusalOf(checkImage(file, 'mask_image'))).toBe(
      "'mask_image' has more than 64 MB. Send a smaller file.",
    );
  });
});

describe('an image by its address', () => {
  let server: Server;
  let origin = '';

  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/image.png') response.end(png);
      else if (request.url === '/page') response.end('<html>Log in</html>');
      else if (request.url === '/broken') {
        response.writeHead(200, { 'Content-Length': '1000' });
        response.write(png, () => response.destroy());
      } else if (request.url === '/endless') {
        const megabyte = new Uint8Array(2 ** 20);
        const send = () => {
          while (!response.destroyed && response.write(megabyte));
        };
        response.on('drain', send);
        send();
      } else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('is fetched', async () => {
    expect(await bytesOf(await readImageInput(call, `${origin}/image.png`))).toEqual(png);
  });

  it('may be a file of this app', async () => {
    await host.keepFile('2026-01-31/ä b.png', new Blob([png]), Infinity);
    expect(await bytesOf(await readImageInput(call, call.url('files/2026-01-31/%C3%A4%20b.png?x')))).toEqual(
      png,
    );
  });

  it.each([
    ['/nothing', 'Unable to fetch image from provided URL. The server answered 404.'],
    ['/page', 'The image is not a PNG, JPEG, WebP or GIF file.'],
    ['/broken', 'Unable to fetch image from provided URL. The connection was lost.'],
    ['/endless', 'Unable to fetch image from provided URL. The file is larger than 64 MB.'],
  ])('is refused at %s', async (path, message) => {
    expect(await refusalOf(readImageInput(call, origin + path))).toBe(message);
  });

  it.each([
    ['http://127.0.0.1:1/image.png', 'The server cannot be reached.'],
    [
      'http://localhost/files/2026-01-31/gone.png',
      'There is no file 2026-01-31/gone.png here, or it has expired.',
    ],
    ['http://localhost/files/%E4%', 'There is no file %E4% here, or it has expired.'],
  ])('is refused when nothing answers: %s', async (address, reason) => {
    expect(await refusalOf(readImageInput(call, address))).toBe(
      `Unable to fetch image from provided URL. ${reason}`,
    );
  });

  it('is let go of with its client', async () => {
    const leaving = AbortSignal.abort();
    const thrown: unknown = await readImageInput({ ...call, signal: leaving }, `${origin}/image.png`).catch(
      (error: unknown) => error,
    );
    expect(thrown).toMatchObject({ code: 'cancelled' });
  });
});
