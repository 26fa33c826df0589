import { AppError } from '#protocol/error.ts';

/** Opens a transaction on the one store of a database and resolves with the result of `work`, once it is committed. */
export type Transact = <T>(
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => Promise<T>,
) => Promise<T>;

/** What an IndexedDB request answers. */
export function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(failureOf(request.error));
  });
}

/**
 * A database with one store, for stores that need an index; the others use idb-keyval. A tab that has it open lets go when
 * another tab upgrades or deletes it, and opens it again with its next transaction, so that neither waits for the other.
 * @param create makes the store in an empty database, or brings that of an earlier version up to date
 */
export function openDatabase(
  name: string,
  version: number,
  create: (database: IDBDatabase, upgrade: IDBTransaction | null) => IDBObjectStore,
): Transact {
  let opening: Promise<IDBDatabase> | null = null;

  async function open(): Promise<IDBDatabase> {
    const request = indexedDB.open(name, version);
    request.onupgradeneeded = () => create(request.result, request.transaction);
    const database = await answerOf(request);
    database.onversionchange = () => {
      opening = null;
      database.close();
    };
    database.onclose = () => (opening = null);
    return database;
  }

  return async (mode, work) => {
    opening ??= open();
    const database = await opening.catch((thrown: unknown) => {
      opening = null;
      throw thrown;
    });
    const [storeName = ''] = database.objectStoreNames;
    const transaction = database.transaction(storeName, mode);
    const committed = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      // A full disk is reported here, after the request has succeeded.
      transaction.onabort = () => reject(failureOf(transaction.error));
    });
    const [result] = await Promise.all([work(transaction.objectStore(storeName)), committed]);
    return result;
  };
}

function failureOf(error: DOMException | null): Error {
  return error ?? new AppError('internal', 'The browser stopped writing to its storage.');
}
