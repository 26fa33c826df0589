import { createStore, type UseStore } from 'idb-keyval';

let store: UseStore | undefined;

/** Where the form keeps what is too large for `localStorage`. */
export function openFormStore(): UseStore {
  store ??= createStore('vitrine-form', 'form');
  return store;
}
