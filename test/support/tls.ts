import { createServer } from 'node:https';
import { request as forward } from 'node:http';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

const CERTIFICATE = path.resolve(import.meta.dirname, '../fixtures/secure-page');

export interface SecureServer {
  readonly origin: string;
  close(): Promise<void>;
}

/** Serves over https, on `localhost`, what a server serves over http. Its certificate is signed by nobody. */
export async function serveSecurely(origin: string): Promise<SecureServer> {
  const read = (file: string) => readFileSync(path.join(CERTIFICATE, file));
  const server = createServer(
    { key: read('key.pem'), cert: read('certificate.pem') },
    (incoming, response) => {
      const { method, headers } = incoming;
      const onward = forward(new URL(incoming.url ?? '/', origin), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      onward.on('error', () => response.destroy());
      incoming.pipe(onward);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  return {
    origin: `https://localhost:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
