import { answerOf, openDatabase } from './database.ts';

/** What a text encoder makes of one chunk of a prompt. */
export interface EncodedChunk {
  /** [77, width] */
  hidden: Float32Array;
  /** [projection width], of encoders that have a pooled output. */
  pooled?: Float32Array;
  /** Set where the clip skip that was asked for had no effect: the encoder only gives its last layer. */
  ignoresClipSkip?: true;
}

/** Of an SDXL prompt there are two, 0.7 MB together. */
const MOST = 100;

const STORE = 'chunks';
const BY_TIME = 'storedAt';

interface StoredChunk {
  key: ArrayBuffer;
  storedAt: number;
  chunk: EncodedChunk;
}

/**
 * What text encoders have made of prompts, so that the first image after a reload need not wait for an encoder to be loaded. The
 * oldest go. Keys are hashes: deleted prompts cannot be read here.
 */
export function openEncodedChunks(database = 'vitrine-encoded-chunks', most = MOST) {
  const transact = openDatabase(database, 1, (opened) => {
    const store = opened.createObjectStore(STORE, { keyPath: 'key' });
    store.createIndex(BY_TIME, BY_TIME);
    return store;
  });
  return {
    async get(key: ArrayBuffer): Promise<EncodedChunk | undefined> {
      const found = await transact('readonly', (store) =>
        answerOf(store.get(key) as IDBRequest<StoredChunk | undefined>),
      );
      return found?.chunk;
    },
    /** @throws DOMException `QuotaExceededError` */
    async put(key: ArrayBuffer, chunk: EncodedChunk): Promise<void> {
      await transact('readwrite', async (store) => {
        await answerOf(store.put({ key, storedAt: Date.now(), chunk } satisfies StoredChunk));
        const surplus = (await answerOf(store.count())) - most;
        if (surplus <= 0) return;
        for (const oldest of await answerOf(store.index(BY_TIME).getAllKeys(null, surplus)))
          store.delete(oldest);
      });
    },
  };
}

export type EncodedChunks = ReturnType<typeof openEncodedChunks>;
